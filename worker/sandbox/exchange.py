"""Talking with a running program: writing its input and reading what it says, at the same time and in time."""

import os
import selectors
import time
from collections.abc import Callable, Mapping
from enum import Enum

from worker.sandbox.protocol import GRACE, start_timeout
from worker.sandbox.stream import Capture

_CHUNK = 1 << 16
_MORE, _NOTHING, _CLOSED = "more", "nothing", "closed"


class End(Enum):
    """Why an exchange was over."""

    CLOSED = "closed"
    """The program's streams were closed; most likely, it is dead."""
    DEADLINE = "deadline"
    FLOODED = "flooded"


class Deadline:
    """The outer deadline: ``start_timeout`` from now until the runner is ready, then the run's timeout and GRACE."""

    def __init__(self, timeout: float, capture: Capture) -> None:
        self._timeout = timeout
        self._capture = capture
        self._opened = time.monotonic()

    @property
    def remaining(self) -> float:
        """Seconds left; 0 where it has passed."""
        if self._capture.began is None:
            end = self._opened + start_timeout(self._timeout)
        else:
            end = self._capture.began + self._timeout + GRACE
        return max(0.0, end - time.monotonic())


class Input:
    """What is still to be written, where, and what to do when all is written (or the other end closed)."""

    def __init__(self, fd: int, payload: bytes, close: Callable[[], None] = lambda: None) -> None:
        self.fd = fd
        self._left = memoryview(payload)
        self._close = close
        self.open = True

    def write(self) -> None:
        """Write as much as goes without waiting."""
        try:
            self._left = self._left[os.write(self.fd, self._left[: 1 << 18]) :]
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._left = memoryview(b"")  # The program ended without reading all of it, as it may.
        if not self._left:
            self.open = False
            self._close()


def exchange(
    source: Input,
    readers: Mapping[int, Callable[[bytes], None]],
    capture: Capture,
    deadline: Deadline,
    death: int | None = None,
) -> End:
    """Write ``source`` and hand what comes from each descriptor of ``readers`` on, until the end.

    One descriptor may be both written and read (a socket). All are set to non-blocking. ``death`` is a descriptor that
    becomes readable when the program is dead; where there is none, closed streams are the end.
    """
    open_readers = set(readers)
    with selectors.DefaultSelector() as selector:
        for fd in {source.fd, *readers}:
            os.set_blocking(fd, False)
            selector.register(fd, _events(fd, source, open_readers))
        if death is not None:
            selector.register(death, selectors.EVENT_READ)
        while open_readers or death is not None:
            ready = selector.select(deadline.remaining)
            if not deadline.remaining:
                return End.DEADLINE
            for key, events in ready:
                if key.fd == death:
                    return _drain(open_readers, readers, capture)
                if events & selectors.EVENT_WRITE:
                    source.write()
                if events & selectors.EVENT_READ and _read(key.fd, readers[key.fd]) is _CLOSED:
                    open_readers.discard(key.fd)
                if capture.flooded:
                    return End.FLOODED
                _register_anew(selector, key.fd, _events(key.fd, source, open_readers))
    return End.CLOSED


def _drain(open_readers: set[int], readers: Mapping[int, Callable[[bytes], None]], capture: Capture) -> End:
    """Read what a dead program left in its pipes; a child that lives on may hold them open, and even write."""
    for fd in open_readers:
        while not capture.flooded and _read(fd, readers[fd]) is _MORE:
            continue
    return End.FLOODED if capture.flooded else End.CLOSED


def _events(fd: int, source: Input, open_readers: set[int]) -> int:
    write = selectors.EVENT_WRITE if source.open and fd == source.fd else 0
    return write | (selectors.EVENT_READ if fd in open_readers else 0)


def _register_anew(selector: selectors.BaseSelector, fd: int, events: int) -> None:
    if not events:
        selector.unregister(fd)
    elif selector.get_key(fd).events != events:
        selector.modify(fd, events)


def _read(fd: int, sink: Callable[[bytes], None]) -> str:
    """Hand on what there is; whether there may be more, nothing now, or nothing ever."""
    try:
        data = os.read(fd, _CHUNK)
    except BlockingIOError:
        return _NOTHING
    except ConnectionResetError:
        return _CLOSED
    if not data:
        return _CLOSED
    sink(data)
    return _MORE
