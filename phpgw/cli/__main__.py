"""``python -m phpgw.cli``."""

from phpgw.cli.main import main

if __name__ == "__main__":
    main()
