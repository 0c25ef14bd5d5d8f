"""Stopping the runs of a cancelled experiment: at the coordinator's word, or at its mark on the volume.

The word comes by way of Redis, and a worker that is cut off from that hears none. So a worker that runs something looks
for the mark itself, every few seconds.
"""

import signal
import threading
import time
from pathlib import Path
from typing import Any

from celery.signals import worker_ready
from celery.worker import state

from shared.errors import ScaffoldryError
from shared.file_manager import ExperimentFileManager
from shared.log import log
from shared.settings import get_settings

celery_state: Any = state
LOOK_SECONDS = 5.0


class Cancels:
    """The cancelled sessions that this worker has learnt of, and what it was running of them when it did."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, int] = {}
        """By experiment: its last session that is known to be cancelled, and with it all before."""
        self._stopped: dict[str, dict[str, int | None]] = {}
        """By experiment: the runs that were under way, and the last session of the word they were told in answer to."""

    def learn(self, experiment: str, last: int) -> None:
        """The experiment's sessions up to the last are cancelled. What is taken up hereafter of them is dropped."""
        under_way = _under_way()
        with self._lock:
            known = self._last.get(experiment, 0)
            self._last[experiment] = max(known, last)
            for request, name, session in under_way:
                if name == experiment and known < session <= last:
                    self._stopped.setdefault(experiment, {})[request.id] = None

    def tell(self, experiment: str, last: int) -> list[str]:
        """The runs that a cancel of the sessions up to the last has stopped: those that no earlier one was told of."""
        with self._lock:
            stopped = self._stopped.get(experiment, {})
            stopped.update({run: last for run, told in stopped.items() if told is None})
            return sorted(run for run, told in stopped.items() if told == last)


cancels = Cancels()
"""This worker's."""


def stop_runs(pool: Any, experiment: str, last: int) -> list[str]:
    """Stop this worker's runs of an experiment's sessions up to the last, with all they started.

    Returns the ids of those that this cancel has stopped, at its mark or now, however often it is asked. The children
    of runs that are stopped end as at a SIGTERM, and the pool replaces them.
    """
    cancels.learn(experiment, last)
    for request, name, session in _under_way():
        if name == experiment and session <= last:
            request.terminate(pool, signal="TERM")
    return cancels.tell(experiment, last)


def _under_way() -> list[tuple[Any, str, int]]:
    """The requests at work, each with its experiment and session; a message that is no job is being refused."""
    found = []
    for request in celery_state.active_requests.copy():
        kwargs = request.kwargs if isinstance(request.kwargs, dict) else {}
        job, session = kwargs.get("job"), kwargs.get("session")
        experiment = job.get("experiment") if isinstance(job, dict) else None
        if isinstance(experiment, str) and isinstance(session, int):
            found.append((request, experiment, session))
    return found


class MarkWatch:
    """One worker's looks for the marks of what it runs."""

    def __init__(self, pool: Any, data_dir: Path) -> None:
        self._pool = pool
        self._data_dir = data_dir

    def watch(self) -> None:
        """Look every few seconds, for as long as the process lives."""
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                self.look()
            except Exception as error:  # whatever it is, nobody else would notice that nobody looks
                log.error("could not look for marks of cancelled experiments", action="look_failed", error=repr(error))

    def look(self) -> int:
        """Stop what is marked; how many runs that was."""
        running = {(experiment, session) for _, experiment, session in _under_way()}
        cancelled = {one for one in running if self._is_cancelled(*one)}
        for one in cancelled:
            cancels.learn(*one)
        stopped = 0
        for request, experiment, session in _under_way() if cancelled else ():
            if (experiment, session) in cancelled and request in celery_state.active_requests:
                # Not `terminate` of the request's, which tells Redis of it, and may wait for that for minutes.
                self._pool.terminate_job(request.worker_pid, signal.SIGTERM)
                stopped += 1
        if stopped:
            log.warning("stopped runs that were cancelled", action="cancelled", runs=stopped)
        return stopped

    def _is_cancelled(self, experiment: str, session: int) -> bool:
        try:
            return ExperimentFileManager.locate(self._data_dir, experiment).is_cancelled(session)
        except (ScaffoldryError, OSError):
            return False  # the volume is away: the run itself finds out what that means


def look_for_marks() -> None:
    """Have the worker of this process look for marks once it is ready."""

    def install(sender: Any, **_: object) -> None:
        watch = MarkWatch(sender.pool, get_settings().data_dir)
        threading.Thread(target=watch.watch, name="marks", daemon=True).start()

    worker_ready.connect(install, weak=False)
