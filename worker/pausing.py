"""A worker on whose host no run can be started takes no job until one can, and says why.

A child whose run our own machinery failed looks whether the volume is there and a container can be run. Where not,
it says why in memory that it shares with the main process, which lets go of its queue and looks itself until all is
well. So such an outage costs one attempt of each job that was under way, and the other hosts go on.
"""

import mmap
import os
import threading
import time
from pathlib import Path
from typing import Any

from celery.signals import worker_ready

from shared.error_words import describe
from shared.errors import ScaffoldryError, VolumeUnavailable
from shared.file_manager import ExperimentFileManager
from shared.log import log
from shared.models.result import without_paths
from shared.queue import app, is_of_volume
from shared.settings import get_settings
from shared.volume import known_volume_id
from worker.draining import is_leaving
from worker.sandbox.registry import build_sandbox
from worker.volume import check_mounts

_LENGTH = 1024
_TICK = 0.25
_HEARD = 4 * _TICK
"""Seconds after which the main process, which looks at each tick, has let go of its queue."""
_LOOK = 3.0


class SharedSentence:
    """A sentence that processes forked from this one share; the empty one: none."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _LENGTH)

    def show_in(self, file: Path) -> None:
        """Have it be that file's text, for others to read; to be called before the others are forked."""
        file.write_bytes(bytes(_LENGTH))
        with file.open("r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), _LENGTH)

    def write(self, sentence: str) -> None:
        """Put it in the place of what is there."""
        self._memory[:] = sentence.encode()[:_LENGTH].ljust(_LENGTH, b"\0")

    def read(self) -> str:
        """What was written last, by whichever process."""
        return bytes(self._memory).rstrip(b"\0").decode(errors="replace")


trouble = SharedSentence()
"""Why this worker takes no job at present."""
_pauses = False


class Pause:
    """One worker's pauses. Its connection may be used in Celery's loop alone; a folder's ticks come from elsewhere."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._queues: list[str] = []
        """What it took jobs from, while it takes none."""
        self._looking: threading.Thread | None = None

    def tick(self) -> None:
        """Let go of the queue where there is trouble; take it up again once there is none."""
        why = trouble.read()
        if why and not self._queues and not is_leaving():
            self._queues = list(self._consumer.app.amqp.queues.consume_from)
            log.warning("takes no job until runs can be started here", action="paused", error=why)
            for queue in self._queues:
                self._consumer.call_soon(self._consumer.cancel_task_queue, queue)
        elif self._queues and not why and not is_leaving():
            log.warning("takes jobs again", action="unpaused")
            for queue in self._queues:
                self._consumer.call_soon(self._consumer.add_task_queue, queue)
            self._queues = []
        if why and self._queues:
            self._look()

    def _look(self) -> None:
        """Have somebody look while there is trouble: a child may tell of some just when the last look was over."""
        if self._looking is None or not self._looking.is_alive():
            self._looking = threading.Thread(target=look_until_well, name="pause", daemon=True)
            self._looking.start()


def pause_in_trouble(shown: Path | None = None) -> None:
    """Have the worker that this process becomes pause; to be called before its children are made.

    ``shown``: a file that says why, for whoever cannot ask over the broker.
    """
    global _pauses
    _pauses = True
    if shown is not None:
        trouble.show_in(shown)

    def install(sender: Any, **_: object) -> None:
        sender.timer.call_repeatedly(_TICK, Pause(sender).tick)

    worker_ready.connect(install, weak=False)


def after_failure() -> str | None:
    """To be called in a child whose run our machinery failed, before that is answered; why none can be started here.

    It returns when the worker takes no more, where that is so.
    """
    why = host_problem() if _pauses else None
    if why:
        trouble.write(why)
        time.sleep(_HEARD)
    return why


def look_until_well(seconds: float = _LOOK) -> None:
    """Look now and then, until runs can be started. A look that fails in a new way changes nothing."""
    while why := _problem_or_bug():
        trouble.write(why)
        time.sleep(seconds)
    trouble.write("")


def _problem_or_bug() -> str | None:
    try:
        return host_problem()
    except Exception as error:
        log.error("could not look whether runs can be started", action="look_failed", error=repr(error))
        return trouble.read() or "It is not known whether runs can be started here."


def host_problem() -> str | None:
    """Why no run can be started on this host, in one line; None where it can."""
    settings = get_settings()
    try:
        volume = known_volume_id(settings.data_dir)
        if volume is None or not is_of_volume(app.conf.task_default_queue, volume):
            raise VolumeUnavailable("The data directory is not on the volume that it was on when the worker started.")
        # It may be read-only, or full: then each run would fail at its end.
        ExperimentFileManager.check_writable(settings.data_dir)
        sandbox = build_sandbox(settings.sandbox)
        sandbox.check()
        # An engine may answer and be unable to run a thing: its disk is full.
        check_mounts(sandbox, settings.worker_name, os.getpid())
    except (ScaffoldryError, OSError) as error:
        return " ".join(without_paths(describe(error)[0]).split())
    return None
