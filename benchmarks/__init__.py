"""Benchmarks: every claim of speed or size, measured beside what a user would otherwise take, in one run."""
