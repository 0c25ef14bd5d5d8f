"""What processes of a worker leave behind when they are killed is removed by those that are left.

A child that was killed is noticed by its main process. A worker of which nothing is left is noticed by its heir, a
small process in a session of its own that does nothing but wait for that: it outlives a SIGKILL of the worker, and of
all its process group. A new worker of the same name may be at work by then, so only what belongs to a process that is
gone is removed.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from billiard.process import active_children
from celery.signals import worker_ready

from shared.errors import InfraError
from shared.log import log

_TICK = 2.0
_HEIRS_LOOKS = (0.0, 5.0, 20.0)
"""Seconds before each look: an engine may yet be making what it was asked for last."""
_LATER = 12
"""Ticks until the second look for what a child left, for the same reason."""
_AWAY_PAUSE = 3.0
_AWAY_LOOKS = 1200


class ChildMinder:
    """Notices that a child is gone, or has been replaced, and has ``clear`` called in another thread, one at a time.

    And again some time later: not all that the child had begun is there at once.
    """

    def __init__(self, clear: Callable[[], None], children: Callable[[], set[int]]) -> None:
        self._clear = clear
        self._children = children
        self._known = children()
        self._due = False
        self._ticks_left = 0
        self._at_work: threading.Thread | None = None

    def tick(self) -> None:
        """Look once; to be called now and then."""
        children = self._children()
        if children != self._known:
            self._due, self._ticks_left = True, _LATER
        elif self._ticks_left:
            self._ticks_left -= 1
            self._due = self._due or not self._ticks_left
        self._known = children
        if self._due and (self._at_work is None or not self._at_work.is_alive()):
            self._due = False
            self._at_work = threading.Thread(target=self._clear, name="orphans", daemon=True)
            self._at_work.start()


def mind_children(reap: Callable[[], int]) -> None:
    """Have the worker that this process becomes remove, by ``reap``, what its killed children leave."""

    def clear() -> None:
        reaped = persistently(reap)
        if reaped:
            log.warning("removed what a killed child left behind", action="reaped", containers=reaped)

    def install(sender: Any, **_: object) -> None:
        minder = ChildMinder(clear, lambda: {child.pid for child in active_children() if child.pid})
        sender.timer.call_repeatedly(_TICK, minder.tick)

    worker_ready.connect(install, weak=False)


def persistently(reap: Callable[[], int], pause: float = _AWAY_PAUSE, looks: int = _AWAY_LOOKS) -> int:
    """What ``reap`` answers, which is called again where the engine is away; 0 where it stays away for an hour."""
    for _ in range(looks):
        try:
            return reap()
        except InfraError:
            time.sleep(pause)
    return 0


def leave_an_heir(reap: Callable[[], int], looks: Sequence[float] = _HEIRS_LOOKS) -> Callable[[], None]:
    """Fork a process that calls ``reap`` when this one is gone, and all that are forked from it hereafter.

    To be called while there are no other threads at work. Returns what is to be called at an end in good order: it
    lets the heir go with nothing done.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            if os.fork() == 0:
                _be_the_heir(reading, reap, looks)
        finally:
            os._exit(0)
    os.waitpid(child, 0)  # the heir is nobody's child, and is not taken for one of the pool
    os.close(reading)

    def release() -> None:
        with suppress(BrokenPipeError):  # it was killed
            os.write(writing, b".")
        os.close(writing)

    return release


def _be_the_heir(will: int, reap: Callable[[], int], looks: Sequence[float]) -> None:
    """Holds nothing of the worker's open: no lock, no stream, no socket."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    os.dup2(will, 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    os.chdir("/")
    if os.read(3, 1):
        return
    for seconds in looks:
        time.sleep(seconds)
        persistently(reap)
