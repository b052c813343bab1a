"""Starts a worker: ``python worker.py``."""

from consentflow.worker import main

if __name__ == "__main__":
    main()
