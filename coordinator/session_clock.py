"""The time that sessions run, kept with the budget: a session that was killed counts up to its last beat."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.budget import Budget
from shared.errors import ScaffoldryError

BEAT = 5.0
"""Seconds between two notes of the time: what a session that is killed may not have counted."""

_logger = logging.getLogger(__name__)


class SessionClock:
    """Adds to the budget the time that passes in a session; while the machine sleeps none does."""

    def __init__(self, budget: Budget, clock: Callable[[], float] = time.monotonic) -> None:
        self._budget = budget
        self._clock = clock
        self._lock = threading.Lock()
        self._noted_at = clock()
        self._noted = budget.spent().seconds

    def hours_used(self) -> float:
        """Hours of all sessions up to now."""
        with self._lock:
            return (self._noted + self._clock() - self._noted_at) / 3600

    def beat(self) -> None:
        """Note the time since the last note. Where the volume cannot be written, the next beat makes up for it."""
        with self._lock:
            now = self._clock()
            try:
                self._noted = self._budget.add_time(now - self._noted_at).seconds
            except (ScaffoldryError, OSError) as error:
                _logger.warning("the session's time could not be noted: %s", error)
            else:
                self._noted_at = now


@contextmanager
def budget_watch(budget: Budget | None, beat: float = BEAT) -> Iterator[Callable[[], str | None]]:
    """For one session: why no further run may start, as a function that returns a sentence, or None while one may.

    Meanwhile the session's time is counted, where the budget bounds the hours.
    """
    if budget is None:
        yield lambda: None
        return
    if budget.spec.hours is None:
        yield budget.reached
        return
    clock = SessionClock(budget)
    ended = threading.Event()

    def keep_beating() -> None:
        while not ended.wait(beat):
            clock.beat()

    beating = threading.Thread(target=keep_beating, name="session-clock", daemon=True)
    beating.start()
    try:
        yield lambda: budget.reached(clock.hours_used())
    finally:
        ended.set()
        beating.join()
        clock.beat()
