"""What there is of a world beside its volume, and whether anybody is at work on it.

Containers tell by their labels which attempt of which process they are of; that process has the attempt's draft open
for as long as its program runs. Temporary files tell, where their names carry it, which process made them.
"""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from coordinator.selftest.engine import Container
from coordinator.selftest.processes import open_files
from shared.errors import SandboxUnavailable

OUTLIVES_SECONDS = 60.0
"""How long something may be there after the run that it is of."""
_EVERY_SECONDS = 5.0
_JOIN_SECONDS = 90.0
_MAKER = re.compile(r"(?<![\d.])(\d+)\.(\d+)(?![\d.])")
"""A process in a name, by its id and the moment of its start: ids are used again."""


class Idle:
    """Since when things are there that nobody is at work on, and which were so for too long. Times in seconds."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self.overdue: set[str] = set()
        """Those that were so for more than a minute."""

    def note(self, idle: Iterable[str], now: float) -> None:
        """These are there idly at this moment; the others are gone, or somebody is at work on them."""
        self._since = {one: self._since.get(one, now) for one in idle}
        self.overdue.update(one for one, since in self._since.items() if now - since > OUTLIVES_SECONDS)

    def forgive(self) -> None:
        """Begin anew: for as long as the engine is away nobody can remove anything."""
        self._since.clear()


class Attendance(threading.Thread):
    """Looks every five seconds, while a world runs, for what is there idly.

    The first of two looks that find a thing idle comes after its run has ended, so that none is blamed too early.
    """

    def __init__(self, look: Callable[[], Iterable[str]]) -> None:
        """``look`` says what is there idly just now. It may raise SandboxUnavailable."""
        super().__init__(name="attendance", daemon=True)
        self._look = look
        self._ended = threading.Event()
        self._idle = Idle()

    def run(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            try:
                found = list(self._look())
            except SandboxUnavailable:
                self._idle.forgive()
            else:
                self._idle.note(found, time.monotonic())

    def end(self) -> tuple[str, ...]:
        """Look no more; what was there for too long. An engine that hangs holds this up for a minute."""
        self._ended.set()
        if self.is_alive():
            self.join(_JOIN_SECONDS)
        return tuple(sorted(self._idle.overdue))


def idle_containers(containers: Iterable[Container]) -> Iterator[str]:
    """Those whose attempt is not at work, each in words. One that is of no run has no attempt: it is to be brief."""
    for one in containers:
        if not is_at_work(one):
            yield f"{one.job} (container {one.id[:12]})"


def is_at_work(container: Container) -> bool:
    """Whether the process that made a container lives and has the draft of just that attempt open."""
    pid = living(container.maker)
    if pid is None or not container.run_type:
        return False
    draft = re.compile(rf"/{container.run_type}\.\d+-{container.attempt}\.")
    return any(draft.search(path) for path in open_files(pid))


def orphaned_files(folder: Path) -> Iterator[str]:
    """The entries of a folder of temporary files whose names carry a process that is gone."""
    for name in _entries(folder):
        found = _MAKER.search(name)
        if found and living(found[0]) is None:
            yield f"tmp/{name}"


def unused_files(folder: Path) -> list[str]:
    """The entries of a folder of temporary files that no run at work can explain any more, now that none is.

    What a living process keeps for itself is in use: a folder in which somebody listens or has a file open, and one
    that carries that process in its name, unless it is a run's.
    """
    names = _entries(folder)
    if not names:
        return []
    used = _in_use(folder)
    return [f"tmp/{name}" for name in names if name not in used and not _is_kept(name)]


def all_files(folder: Path) -> list[str]:
    """Every entry of a folder of temporary files."""
    return [f"tmp/{name}" for name in _entries(folder)]


def programs(folder: Path) -> Iterator[int]:
    """The programs whose scratch directory lies in a folder: the runs of plain processes."""
    mark = f"TMPDIR={folder}/scaffoldry-".encode()
    for entry in _processes():
        with suppress(OSError):
            if mark in (entry / "environ").read_bytes():
                yield int(entry.name)


def living(maker: str) -> int | None:
    """The id of a process that is named ``id.start``; None where it is gone, or only waits to be waited for."""
    pid, _, started = maker.partition(".")
    with suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        if pid.isdecimal() and fields[0] not in "ZX" and fields[19] == started:
            return int(pid)
    return None


def _is_kept(name: str) -> bool:
    found = _MAKER.search(name)
    return found is not None and "_run_" not in name and living(found[0]) is not None


def _in_use(folder: Path) -> set[str]:
    """The entries in which a socket is bound, or a file open."""
    paths = {line.rpartition(" ")[2] for line in Path("/proc/net/unix").read_text().splitlines()}
    for entry in _processes():
        paths.update(open_files(int(entry.name)))
    inside = f"{folder}/"
    return {path.removeprefix(inside).partition("/")[0] for path in paths if path.startswith(inside)}


def _processes() -> Iterator[Path]:
    return (entry for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _entries(folder: Path) -> list[str]:
    with suppress(FileNotFoundError):
        return sorted(entry.name for entry in folder.iterdir())
    return []
