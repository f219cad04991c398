"""Holds the client to the official conformance suite of the Model Context Protocol."""
