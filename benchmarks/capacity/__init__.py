"""How much it takes: from what a journey costs to machines; ``python -m benchmarks.capacity``."""
