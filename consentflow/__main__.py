"""``python -m consentflow``."""

from consentflow.cli import main

if __name__ == "__main__":
    main()
