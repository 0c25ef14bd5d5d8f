"""Finding and killing the processes that a run left behind, by the scratch directory in their environment.

A process that left its group and its parent still has the environment it was started with. One that also made itself
a new environment is not found: the ``process`` sandbox is for trusted code.
"""

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from shared.maker import is_left, this_process

MARK = "TMPDIR"
"""The variable that names the scratch directory; programs have a use for it too."""

_PASSES = 20


def prefix(worker: str) -> str:
    """How the names of a worker's scratch directories begin."""
    return f"scaffoldry-{re.sub(r'[^A-Za-z0-9.-]', '-', worker)}_run_"


def own_prefix(worker: str) -> str:
    """The same for those of this process."""
    return f"{prefix(worker)}{this_process()}-"


def kill(scratch: Path) -> None:
    """Kill every process that carries ``scratch``, until none is left."""
    _kill_marked(f"{MARK}={scratch}\0".encode())


def reap(worker: str, own: bool = False) -> int:
    """Kill what runs left whose process, one of the worker of that name, is gone, with their scratch directories; how
    many runs. ``own``: also those of this process."""
    names = {path: path.name.removeprefix(prefix(worker)).partition("-")[0] for path in _scratch_directories(worker)}
    orphans = [path for path, maker in names.items() if is_left(maker, own)]
    for path in orphans:
        kill(path)
        shutil.rmtree(path, ignore_errors=True)
    return len(orphans)


def _scratch_directories(worker: str) -> list[Path]:
    root = Path(tempfile.gettempdir())
    return [path for path in root.glob(f"{prefix(worker)}*") if path.is_dir() and not path.is_symlink()]


def _kill_marked(mark: bytes) -> None:
    """Again and again, since a process may have forked while the others were being killed."""
    for _ in range(_PASSES):
        found = list(_marked(mark))
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _marked(mark: bytes) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _carries(entry, mark):
            yield int(entry.name)


def _carries(entry: Path, mark: bytes) -> bool:
    try:
        return mark in (entry / "environ").read_bytes()
    except OSError:
        return False  # Ended in the meantime, or another user's.
