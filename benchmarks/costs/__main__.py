"""``python -m benchmarks.costs``."""

from benchmarks.costs.unit_costs import main

if __name__ == "__main__":
    main()
