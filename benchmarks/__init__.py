"""The benchmarks: run with ``make bench``."""
