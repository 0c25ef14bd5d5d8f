"""A worker's life: take a name of its own on this host, clear what an earlier life left behind, then serve jobs."""

import ctypes
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from billiard.process import active_children
from celery.exceptions import SecurityWarning
from celery.signals import worker_ready
from celery.utils.log import mlevel

from shared.errors import ScaffoldryError, UsageError
from shared.log import log
from shared.maker import is_running
from shared.models.worker_state import node_name
from shared.queue import app, check_broker, job_queue, puts_back, remove_folder, use_queue, without_password
from shared.settings import Settings, get_settings, override_settings
from shared.volume import remove_stray_mount_probes, volume_id
from worker.cancelling import look_for_marks
from worker.draining import drain_on_sigterm
from worker.inheritance import leave_connections
from worker.leftovers import pool_folder, remove_leftovers
from worker.names import answers, own_name, refuse_taken
from worker.orphans import leave_an_heir, mind_children
from worker.pausing import pause_in_trouble
from worker.sandbox.base import Sandbox
from worker.sandbox.registry import build_sandbox
from worker.volume import check_data_dir, check_mounts, use_host_paths
from worker.watchdog import watch_over

_PR_SET_PDEATHSIG = 1
_COLD_SECONDS = 15.0
"""Seconds a cold shutdown may take."""
_KILL_SECONDS = 3.0
"""Seconds a killed process may take to be gone."""


def serve(
    name: str | None, concurrency: int | None, sandbox_name: str, parent: int | None, trouble: Path | None = None
) -> None:
    """Serve jobs until told to stop: SIGTERM or one Ctrl-C ends after the running jobs, SIGQUIT or a second at once.

    ``parent``: stop when that process, which started this one, is gone. ``trouble``: a file that says why no job is
    taken at present. Raises UsageError without a broker or where the name is another's, BrokerUnavailable,
    SandboxUnavailable, VolumeUnavailable.
    """
    settings = get_settings()
    if settings.broker_url is None:
        raise UsageError("A worker needs a broker: set SCAFFOLDRY_BROKER_URL or give --broker-url redis://HOST:6379/0.")
    if parent is not None:
        _die_with(parent)
        warnings.simplefilter("ignore", SecurityWarning)  # Celery's about root, which is the user's own choice
    check_broker(app, without_password(settings.broker_url), takes_jobs=True)
    sandbox = build_sandbox(sandbox_name)
    sandbox.check()
    check_data_dir(settings.data_dir.absolute())
    use_queue(app, job_queue(volume_id(settings.data_dir), sandbox_name))
    with own_name(settings.worker_name if name is None else name) as worker:
        use_host_paths(sandbox)
        settings = override_settings(
            worker_name=worker, concurrency=concurrency or settings.concurrency, sandbox=sandbox_name
        )
        _check_surroundings(sandbox, worker, alone=parent is not None)
        reaped = sandbox.reap(worker)
        remove_leftovers(worker, settings.socket_dir, own=True)
        remove_stray_mount_probes(settings.data_dir, worker)
        if reaped:
            log.warning("removed what an earlier worker of this name left behind", action="reaped", containers=reaped)

        def clear() -> None:
            _reap(sandbox, worker, settings.socket_dir, own=True)
            if parent is not None and os.getppid() != parent:
                remove_folder(settings.broker_url or "")  # nobody else is left to do it

        leave_connections()
        reap_orphans = partial(_reap, sandbox, worker, settings.socket_dir)
        release_heir = leave_an_heir(reap_orphans)
        _end_at_last(clear, parent)
        if parent is None:  # a session's own has nothing left to take when it is told to end
            drain_on_sigterm()
            watch_over(lambda: _begin_anew(clear))
            look_for_marks()
        pause_in_trouble(trouble)
        mind_children(reap_orphans)
        puts_back(app)
        try:
            with pool_folder(worker):
                raise SystemExit(_celery(worker, settings, quiet=parent is not None))
        finally:
            clear()
            release_heir()


def _check_surroundings(sandbox: Sandbox, worker: str, alone: bool) -> None:
    """Raise where the engine sees other directories, or another worker has the name; both are asked at once.

    ``alone``: nobody else is on the broker. To be called before anything is reaped: it may be the name's owner's.
    """
    with ThreadPoolExecutor(1) as aside:
        taken = None if alone else aside.submit(answers, worker)
        check_mounts(sandbox, worker)
        if taken is not None and taken.result():
            raise refuse_taken(worker)


def reap(name: str | None, sandbox_name: str) -> int:
    """Remove what a worker of that name, which is gone with its children, left behind; how many containers."""
    with own_name(get_settings().worker_name if name is None else name) as worker:
        return _reap(build_sandbox(sandbox_name), worker, get_settings().socket_dir)


def _reap(sandbox: Sandbox, worker: str, socket_dir: Path | None, own: bool = False) -> int:
    """``Sandbox.reap``, and before that, for which no engine is needed, the folders that nobody has any more."""
    remove_leftovers(worker, socket_dir)  # this process's own are in use for as long as it lives
    return sandbox.reap(worker, own)


def _end_at_last(clear: Callable[[], None], parent: int | None) -> None:
    """Have this process end, and its pool with it, some seconds after it was told to at once or its parent is gone.

    Celery stops its pool in the handler of SIGQUIT, where it can wait for ever for a lock that the code it interrupted
    holds; its own signal for those who want to know is sent after that. So its handler is wrapped once it is there, and
    the parent is looked after from the start.
    """

    def end() -> None:
        time.sleep(_COLD_SECONDS)
        try:
            # First the pool: a child that lived on while its program is killed would take that for the program's doing.
            _kill_pool()
            clear()
        finally:
            _kill_pool()
            os.kill(os.getpid(), signal.SIGKILL)

    def wrap(**_: object) -> None:
        celerys: Any = signal.getsignal(signal.SIGQUIT)

        def quit_at_once(number: int, frame: FrameType | None) -> None:
            threading.Thread(target=end, daemon=True).start()
            celerys(number, frame)

        signal.signal(signal.SIGQUIT, quit_at_once)

    def mind_parent() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        end()

    worker_ready.connect(wrap, weak=False)
    if parent is not None:
        threading.Thread(target=mind_parent, name="mind-parent", daemon=True).start()


def _begin_anew(clear: Callable[[], None]) -> None:
    """Replace this process by what it was started as; what it ran is gone, and its name is its own again."""
    try:
        _kill_pool()
        clear()
    except (ScaffoldryError, OSError) as error:
        log.warning("could not clear up before beginning anew", action="reap_failed", error=str(error))
    finally:
        _kill_pool()  # Celery's loop, where it turns, has put others in their place
        os.execv(sys.executable, sys.orig_argv)  # closes what it holds: its connections and the lock on its name


def _kill_pool() -> None:
    """Return once they are gone, or some seconds later: what they left is theirs for as long as they live."""
    pids = [child.pid for child in active_children() if child.pid]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _KILL_SECONDS
    while any(is_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)


def _celery(worker: str, settings: Settings, quiet: bool) -> int:
    """Run Celery's worker to its end; its exit code. (Its command line takes a quarter of a second more to import.)"""
    celery_worker: Any = app.Worker(
        hostname=node_name(worker),
        concurrency=settings.concurrency,
        loglevel=mlevel(settings.log_level),
        pool_cls="prefork",
        consumer_cls="worker.consumer:Consumer",
        without_gossip=True,
        without_mingle=True,
        include=["worker.tasks", "worker.probe"],
        quiet=quiet,  # no banner: whoever started us shows our last lines where we fail
    )
    celery_worker.start()
    return int(celery_worker.exitcode or 0)


def _die_with(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
    if os.getppid() != parent:
        raise UsageError("The process that started this worker is gone already.")
