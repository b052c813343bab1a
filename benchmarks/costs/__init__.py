"""What each journey costs, counted and weighed on real servers; ``python -m benchmarks.costs``."""
