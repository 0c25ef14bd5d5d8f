"""A worker that hears nothing while jobs wait notices it, and begins anew: its consumer, or else the whole process.

Connections can be lost in ways that nobody is told of: the process lives, answers perhaps, and takes no job. A thread
looks every few seconds, over a connection of its own, whether jobs wait that this worker has room for. Where it has
taken none for some looks, its consumer is restarted in Celery's loop; runs under way go on. Where that does not help,
or the loop itself has stood still for long, the process ends what it runs and begins anew under its own pid, so that a
worker that nobody supervises comes back too.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from celery.signals import task_received, worker_ready
from celery.worker import state

from shared.log import log
from shared.queue import app, connection_errors
from shared.settings import get_settings
from worker.draining import is_leaving
from worker.pausing import trouble

celery_state: Any = state
_TICK = 1.0
LOOK_SECONDS = 5.0
DEAF_LOOKS = 3
"""Looks running at which jobs waited, a slot was free, and none was taken."""
RESTARTS = 3
"""Of the consumer, without a job taken since; then the process begins anew."""
STUCK_LOOKS = 18
"""Looks running at which Redis answered and Celery's loop had not turned: longer than it waits before it connects."""


class Verdict(Enum):
    """What a look ends with."""

    WELL = "well"
    DEAF = "deaf"
    STUCK = "stuck"


@dataclass
class Hearing:
    """What the looks have heard, one after another: a pure record, so that it can be told what to see."""

    _deaf: int = 0
    _restarts: int = 0
    _still: int = 0

    def look(self, waiting: int | None, *, took: bool, room: bool, turned: bool) -> Verdict:
        """Take a look's findings. ``waiting``: jobs on the queue, None where Redis does not answer; ``took``: whether
        a job was taken since the last look; ``room``: whether another could be; ``turned``: whether the loop turned.
        """
        self._still = 0 if turned or waiting is None else self._still + 1
        if took:
            self._restarts = 0
        if self._still >= STUCK_LOOKS:
            return Verdict.STUCK
        self._deaf = self._deaf + 1 if waiting and room and turned and not took else 0
        if self._deaf < DEAF_LOOKS:
            return Verdict.WELL
        self._deaf = 0
        self._restarts += 1
        return Verdict.DEAF if self._restarts <= RESTARTS else Verdict.STUCK


class Watchdog:
    """One worker's. Its ticks come from Celery's loop, its looks from a thread of its own."""

    def __init__(self, consumer: Any, begin_anew: Callable[[], None]) -> None:
        self._consumer = consumer
        self._begin_anew = begin_anew
        self._hearing = Hearing()
        self._ticks = self._ticks_seen = 0
        self._received = self._received_seen = 0

    def tick(self) -> None:
        """Celery's loop turns."""
        self._ticks += 1

    def received(self, **_: object) -> None:
        """A job was taken."""
        self._received += 1

    def watch(self) -> None:
        """Look every few seconds, until the worker leaves."""
        while not is_leaving():
            time.sleep(LOOK_SECONDS)
            try:
                self.look()
            except Exception as error:  # whatever it is, nobody else would notice that nobody looks
                log.error("could not look whether jobs are taken", action="look_failed", error=repr(error))

    def look(self) -> None:
        """Look once, and do what it takes."""
        took, turned = self._received > self._received_seen, self._ticks > self._ticks_seen
        self._received_seen, self._ticks_seen = self._received, self._ticks
        room = has_room() and not is_leaving()
        waiting = jobs_waiting() if (room and not took) or not turned else 0
        verdict = self._hearing.look(waiting, took=took, room=room, turned=turned)
        if verdict is Verdict.DEAF:
            log.warning("hears of no job while some wait; connects anew", action="deaf", waiting=waiting)
            restart_consumer(self._consumer)
        elif verdict is Verdict.STUCK and not is_leaving():
            log.error("stands still while the broker answers; begins anew", action="stuck", waiting=waiting)
            restart_process(self._begin_anew)


def jobs_waiting() -> int | None:
    """How many jobs wait on this worker's queue; None where Redis does not say."""
    backend: Any = app.backend  # each thread has its own, and so its own connection
    try:
        return int(backend.client.llen(app.conf.task_default_queue))
    except connection_errors(app):
        return None


def has_room() -> bool:
    """Whether this worker would take another job, were there one."""
    full = len(celery_state.reserved_requests) >= get_settings().concurrency
    return not full and not trouble.read() and consumes()


def consumes() -> bool:
    """Whether this worker is to take jobs at all: somebody may have cancelled its consumer, in Flower for one."""
    queues: Any = app.amqp.queues
    return app.conf.task_default_queue in queues.consume_from


def restart_consumer(consumer: Any) -> None:
    """Have Celery's loop find its connection lost, as it would had it been told."""
    consumer.hub.call_soon(_lose_connection)


def _lose_connection() -> None:
    raise ConnectionResetError("no job was heard of while some were waiting")


def restart_process(begin_anew: Callable[[], None]) -> None:
    """Begin anew, from the first line on; does not return."""
    begin_anew()


def watch_over(begin_anew: Callable[[], None]) -> None:
    """Have the worker of this process watch over itself once it is ready. ``begin_anew`` replaces the process."""

    def install(sender: Any, **_: object) -> None:
        watchdog = Watchdog(sender, begin_anew)
        sender.timer.call_repeatedly(_TICK, watchdog.tick)
        task_received.connect(watchdog.received, weak=False)
        threading.Thread(target=watchdog.watch, name="watchdog", daemon=True).start()

    worker_ready.connect(install, weak=False)
