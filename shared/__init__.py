"""What the coordinator and the workers share: models, files, settings, the queue and the scorers."""

__version__ = "0.1.0"
