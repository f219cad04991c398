"""Servers that the tests and the benchmarks talk to, over real HTTP on loopback."""
