"""What the machinery has to say of itself: events with a stable ``action`` and the context they happened in."""

from typing import Any


class EventLog:
    """structlog's logger, loaded with the first event: most processes have none, and loading takes a quarter second."""

    def warning(self, event: str, **context: Any) -> None:
        """Something that somebody may have to look after."""
        self._logger().warning(event, **context)

    def error(self, event: str, **context: Any) -> None:
        """Something that should never happen."""
        self._logger().error(event, **context)

    @staticmethod
    def _logger() -> Any:
        import structlog

        return structlog.get_logger()


log = EventLog()
