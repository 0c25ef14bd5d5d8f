"""What the machinery has to say of itself: events with a stable ``action`` and the context they happened in."""

import logging  # noqa: F401  # its hook for forks comes first, and so its lock is taken after ours, as structlog does
import os
import threading
from typing import Any


class EventLog:
    """structlog's logger, loaded with the first event: most processes have none, and loading takes a quarter second.

    No process is forked in the middle of that. The child would have the locks of a thread that it does not have, of a
    half-loaded module or of the stream, and its first event would wait for them for ever.
    """

    def __init__(self) -> None:
        self._speaking = threading.RLock()  # a signal's handler may speak in the middle of an event
        os.register_at_fork(
            before=self._speaking.acquire,
            after_in_parent=self._speaking.release,
            after_in_child=self._speaking.release,
        )

    def warning(self, event: str, **context: Any) -> None:
        """Something that somebody may have to look after."""
        with self._speaking:
            self._logger().warning(event, **context)

    def error(self, event: str, **context: Any) -> None:
        """Something that should never happen."""
        with self._speaking:
            self._logger().error(event, **context)

    @staticmethod
    def _logger() -> Any:
        import structlog

        return structlog.get_logger()


log = EventLog()
