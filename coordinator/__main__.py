"""``python -m coordinator`` is ``scaffoldry``."""

from coordinator.cli import main

if __name__ == "__main__":
    main()
