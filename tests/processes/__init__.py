"""Tests that start whole further processes of the site, and often kill them.

Each such process imports everything anew, for seconds. What needs no process beside its own is
tested where it belongs, in the quick suite.
"""
