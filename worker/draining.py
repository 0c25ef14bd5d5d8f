"""Leaving in good order: no new job, finish what runs, go. What SIGTERM and ``scaffoldry worker --drain`` bring about.

Celery's own warm shutdown closes the connection first and then waits for its runs: a worker that is ending so can
neither acknowledge nor be asked, nor be told that an experiment is cancelled. This one stops taking jobs, stays on the
broker until its last run has ended, and only then has Celery shut down.
"""

import signal
import threading
import time
from typing import Any

from celery.signals import worker_ready
from celery.worker import state
from celery.worker.control import inspect_command

from shared.log import log

celery_state: Any = state
_TICK = 0.25
_SILENCE = 10.0
"""Seconds without a turn of Celery's loop (the broker is away) after which Celery is told to shut down as it can."""


class Drain:
    """One worker's end. Its ticks come from Celery's loop, where alone its connection may be used."""

    def __init__(self, consumer: Any) -> None:
        self.asked = False
        self._consumer = consumer
        self._begun = False
        self._ticked = time.monotonic()

    def ask(self, *_: object) -> None:
        """Have it begin; safe in a signal's handler, and may be asked again."""
        if not self.asked:
            self.asked = True
            threading.Thread(target=self._mind_silence, name="drain", daemon=True).start()

    def tick(self) -> None:
        """Begin once asked; have Celery end once nothing runs."""
        self._ticked = time.monotonic()
        if self.asked and not self._begun:
            self._begun = True
            log.warning("takes no more jobs, and ends when these have ended", action="drain", runs=running())
            for queue in list(self._consumer.app.amqp.queues.consume_from):
                self._consumer.cancel_task_queue(queue)
        elif self._begun and not celery_state.reserved_requests:
            celery_state.should_stop = 0

    def _mind_silence(self) -> None:
        self._ticked = time.monotonic()
        while time.monotonic() - self._ticked < _SILENCE:
            time.sleep(1.0)
        celery_state.should_stop = 0


def running() -> list[str]:
    """What this worker runs, a sentence's part for each."""
    return sorted(str(request.argsrepr or request.id) for request in celery_state.reserved_requests)


_drains: list[Drain] = []


def is_leaving() -> bool:
    """Whether this worker was told to end."""
    return any(drain.asked for drain in _drains)


def drain_on_sigterm() -> None:
    """Have the worker of this process, once it is ready, end in good order when it is told to."""

    def install(sender: Any, **_: object) -> None:
        drain = Drain(sender)
        _drains.append(drain)
        sender.timer.call_repeatedly(_TICK, drain.tick)
        signal.signal(signal.SIGTERM, drain.ask)

    worker_ready.connect(install, weak=False)


@inspect_command()
def scaffoldry_drain(control: Any) -> dict[str, Any]:
    """Have this worker end in good order; what it still runs. Asked again, it only says that."""
    for drain in _drains:
        drain.ask()
    return {"running": running()}
