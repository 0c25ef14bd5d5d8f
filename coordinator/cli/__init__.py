"""The command line: ``scaffoldry``, also ``python -m coordinator``."""

from coordinator.cli.app import main

__all__ = ["main"]
