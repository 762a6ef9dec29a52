"""``python -m balance_tracker`` and the command ``balance-tracker``."""

from balance_tracker.cli.main import main

if __name__ == "__main__":
    main()
