"""``python -m benchmarks.capacity``."""

from benchmarks.capacity.page import main

if __name__ == "__main__":
    main()
