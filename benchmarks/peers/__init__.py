"""Turns a second against what others build agents with."""
