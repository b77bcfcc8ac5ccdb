"""Fixtures, servers and helpers that tests and benchmarks share."""
