"""A worker's life: take a name of its own on this host, clear what an earlier life left behind, then serve jobs."""

import ctypes
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import structlog
from billiard.process import active_children
from celery.exceptions import SecurityWarning
from celery.signals import worker_ready
from filelock import FileLock, Timeout

from shared.errors import UsageError
from shared.models.ids import check_worker_name
from shared.queue import app, check_broker, remove_folder, without_password
from shared.settings import Settings, get_settings, override_settings
from worker.gateway.socket_dir import remove_stray_sockets
from worker.sandbox.registry import build_sandbox

log = structlog.get_logger()
_PR_SET_PDEATHSIG = 1
_COLD_SECONDS = 15.0
"""Seconds a cold shutdown may take."""


def serve(name: str | None, concurrency: int | None, sandbox_name: str, parent: int | None) -> None:
    """Serve jobs until told to stop: SIGTERM or one Ctrl-C ends after the running jobs, SIGQUIT or a second at once.

    ``parent``: stop when that process, which started this one, is gone. Raises UsageError without a broker,
    BrokerUnavailable, SandboxUnavailable.
    """
    settings = get_settings()
    if settings.broker_url is None:
        raise UsageError("A worker needs a broker: set SCAFFOLDRY_BROKER_URL or give --broker-url redis://HOST:6379/0.")
    if parent is not None:
        _die_with(parent)
        warnings.simplefilter("ignore", SecurityWarning)  # Celery's about root, which is the user's own choice
    check_broker(app, without_password(settings.broker_url))
    sandbox = build_sandbox(sandbox_name)
    sandbox.check()
    with own_name(settings.worker_name if name is None else name) as worker:
        settings = override_settings(
            worker_name=worker, concurrency=concurrency or settings.concurrency, sandbox=sandbox_name
        )
        reaped = sandbox.reap(worker)
        remove_stray_sockets(settings.socket_dir)
        if reaped:
            log.warning("removed what an earlier worker of this name left behind", action="reaped", containers=reaped)

        def clear() -> None:
            sandbox.reap(worker)
            if parent is not None and os.getppid() != parent:
                remove_folder(settings.broker_url or "")  # nobody else is left to do it

        _end_at_last(clear, parent)
        try:
            app.worker_main(_arguments(worker, settings, quiet=parent is not None))
        finally:
            clear()


def reap(name: str | None, sandbox_name: str) -> int:
    """Remove what a worker of that name, which is gone, left behind; how many containers there were."""
    with own_name(get_settings().worker_name if name is None else name) as worker:
        return build_sandbox(sandbox_name).reap(worker)


def _end_at_last(clear: Callable[[], None], parent: int | None) -> None:
    """Have this process end, and its pool with it, some seconds after it was told to at once or its parent is gone.

    Celery stops its pool in the handler of SIGQUIT, where it can wait for ever for a lock that the code it interrupted
    holds; its own signal for those who want to know is sent after that. So its handler is wrapped once it is there, and
    the parent is looked after from the start.
    """

    def end() -> None:
        time.sleep(_COLD_SECONDS)
        try:
            clear()
        finally:
            for pid in (*(child.pid for child in active_children() if child.pid), os.getpid()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

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


def _arguments(worker: str, settings: Settings, quiet: bool) -> list[str]:
    return [
        *(["--quiet"] if quiet else []),  # no banner: whoever started us shows our last lines where we fail
        "worker",
        f"--hostname=worker@{worker}",
        f"--concurrency={settings.concurrency}",
        f"--loglevel={settings.log_level}",
        "--pool=prefork",
        "--without-gossip",
        "--without-mingle",
        "--include=worker.tasks,worker.probe",
    ]


@contextmanager
def own_name(name: str) -> Iterator[str]:
    """``name``, or ``name-2``, ``name-3``, ... where other workers of this host have it; held while in the context.

    The name is what strays are found by, so two living workers must never share one, and a restarted worker should
    get its old one back. Raises InvalidId for what is no worker's name.
    """
    check_worker_name(name)
    folder = get_settings().cache_dir / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    for count in range(1, 1000):
        candidate = name if count == 1 else f"{name}-{count}"
        lock = FileLock(folder / f"{candidate}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        try:
            yield candidate
        finally:
            lock.release()
        return
    raise UsageError(f"A thousand workers named {name} run on this host already; give this one a --name.")


def _die_with(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
    if os.getppid() != parent:
        raise UsageError("The process that started this worker is gone already.")
