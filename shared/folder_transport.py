"""A broker that needs no server: Kombu's filesystem transport, made safe for several processes at once.

Kombu creates a message's file and then fills it, takes it through a copy where the temporary folder is another file
system, and empties a table of bindings before it locks it. Here a message appears under its name only when it is
whole, is taken by one rename, and the tables are used under one lock.
"""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty
from time import monotonic_ns
from typing import Any, ClassVar

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps, loads

SCHEME = "folder"
_LONGEST_WAIT = 0.2
TRANSPORT_ALIASES[SCHEME] = "shared.folder_transport:Transport"


class Channel(filesystem.Channel):
    """A channel whose messages appear whole and in the order they were sent."""

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]  # as Kombu does
        name = f"{monotonic_ns():020d}_{uuid.uuid4()}.{queue}.msg"
        hidden = os.path.join(self.data_folder_out, f"{name}.new")
        with open(hidden, "w", encoding="utf-8") as file:
            file.write(dumps(payload))
        os.rename(hidden, os.path.join(self.data_folder_out, name))

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        for name in sorted(os.listdir(self.data_folder_in)):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = os.path.join(self.processed_folder, name)
            try:
                os.rename(os.path.join(self.data_folder_in, name), taken)
            except FileNotFoundError:
                continue  # another consumer was first
            with open(taken, encoding="utf-8") as file:
                payload = file.read()
            os.unlink(taken)
            return loads(payload)
        raise Empty

    def get_table(self, exchange: str) -> Any:
        with self._table_lock():
            return super().get_table(exchange)

    def _queue_bind(self, *args: Any) -> None:
        with self._table_lock():
            super()._queue_bind(*args)

    def _delete(self, *args: Any, **kwargs: Any) -> None:
        with self._table_lock():
            super()._delete(*args, **kwargs)

    @contextmanager
    def _table_lock(self) -> Iterator[None]:
        with open(os.path.join(self.control_folder, "lock"), "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)  # closing is not enough where a child was forked meanwhile


class Transport(filesystem.Transport):
    """Kombu's filesystem transport with the channel above."""

    Channel = Channel
    default_connection_params: ClassVar[dict[str, Any]] = {}
    """No host and no port: there is nothing that Kombu could miss, and warn about."""

    def drain_events(self, connection: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        """Give up after a moment, as if ``timeout`` were over: who waits here also has signals to look at."""
        wait = _LONGEST_WAIT if timeout is None else min(timeout, _LONGEST_WAIT)
        return super().drain_events(connection, timeout=wait, **kwargs)
