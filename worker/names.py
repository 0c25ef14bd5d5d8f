"""A worker's name: its own on this host by a file lock, and its own on the broker because nobody else answers to it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from shared.errors import UsageError
from shared.models.ids import check_worker_name
from shared.models.worker_state import node_name
from shared.queue import app
from shared.settings import get_settings

_PING_SECONDS = 1.0


@contextmanager
def own_name(name: str) -> Iterator[str]:
    """``name``, or ``name-2``, ``name-3``, ... where other workers of this host have it; held while in the context.

    The name is what strays are found by, so two living workers must never share one, and a restarted worker should
    get its old one back. Raises InvalidId for what is no worker's name.
    """
    check_worker_name(name)
    _folder().mkdir(parents=True, exist_ok=True)
    for count in range(1, 1000):
        candidate = name if count == 1 else f"{name}-{count}"
        lock = _lock(candidate)
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


def held_names(name: str) -> list[str]:
    """Of ``name``, ``name-2``, ... those that a living worker of this host has."""
    pattern = re.compile(re.escape(name) + r"(-\d+)?")
    known = sorted(path.stem for path in _folder().glob("*.lock") if pattern.fullmatch(path.stem))
    return [candidate for candidate in known if is_held(candidate)]


def is_held(name: str) -> bool:
    """Whether a living worker of this host has exactly that name."""
    if not (_folder() / f"{name}.lock").exists():
        return False
    try:
        with _lock(name).acquire(blocking=False):
            return False
    except Timeout:
        return True


def answers(worker: str) -> bool:
    """Whether some process on the broker answers to that name. One that was killed does not: nothing of it can."""
    with app.connection_for_write() as connection:
        return bool(
            app.control.ping(destination=[node_name(worker)], timeout=_PING_SECONDS, limit=1, connection=connection)
        )


def refuse_taken(worker: str) -> UsageError:
    """Why a worker of that name may not start."""
    return UsageError(
        f"A worker named {worker} listens on this broker already, from another host or folder: its name answered. Give "
        "this one another with --name or SCAFFOLDRY_WORKER_NAME; or, where that one is just ending, wait for it."
    )


def _folder() -> Path:
    return get_settings().cache_dir / "workers"


def _lock(name: str) -> FileLock:
    return FileLock(_folder() / f"{name}.lock")
