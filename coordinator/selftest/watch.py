"""Watches the committed results while a world runs: one that was there once must stay as it was, for ever."""

import hashlib
import threading
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from coordinator.selftest.witness import RESULTS, committed, find_experiments, is_whole

_PAUSE = 0.5
_GLANCE = 0.05


class Watch(threading.Thread):
    """Looks twice a second, and within a twentieth of one where a name in the folder of results came, went or changed.

    A file is read when it appears, and again whenever it is another file than it was. A second commit within that time
    of the first would not be seen.
    """

    def __init__(self, data_dir: Path) -> None:
        super().__init__(name="watch", daemon=True)
        self._data_dir = data_dir
        self._seen: dict[Path, tuple[tuple[int, int], str]] = {}
        self._moments: dict[Path, int] = {}
        self._forgiven: set[str] = set()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self.changed: set[str] = set()
        """Run types whose committed result was replaced or taken away."""
        self.appeared: dict[str, float] = {}
        """Run type -> when its result was first seen, by the monotonic clock."""

    def run(self) -> None:
        looked = time.monotonic()
        while not self._ended.wait(_GLANCE):
            if self._is_stirred() or time.monotonic() - looked >= _PAUSE:
                looked = time.monotonic()
                with suppress(OSError):
                    self.look()

    def _is_stirred(self) -> bool:
        """Whether a folder of results is not as the last look found it: one call, whatever it holds."""
        for folder, moment in list(self._moments.items()):
            with suppress(OSError):
                if folder.stat().st_mtime_ns != moment:
                    return True
        return False

    def look(self) -> None:
        """Look once."""
        with self._lock:
            for experiment in find_experiments(self._data_dir):
                with suppress(FileNotFoundError):  # before the files, so that what comes meanwhile is looked at again
                    self._moments[experiment / RESULTS] = (experiment / RESULTS).stat().st_mtime_ns
                found = committed(experiment)
                gone = [path for path in self._seen if path.is_relative_to(experiment) and path.stem not in found]
                self.changed.update(path.stem for path in gone)
                self._compare(found)

    def forgive(self, run_type: str) -> None:
        """Overlook a result that is damaged on purpose, until another is there that is whole: that one must stay."""
        with self._lock:
            self._forgiven.add(run_type)
            self._seen = {path: one for path, one in self._seen.items() if path.stem != run_type}

    def end(self) -> None:
        """Look a last time, and no more."""
        self._ended.set()
        self.join()
        self.look()

    def longest_pause(self, since: float, until: float) -> float:
        """The longest time, in seconds, in which no result appeared between two moments of the monotonic clock."""
        moments = [since, *sorted(one for one in self.appeared.values() if since < one < until), until]
        return max(later - earlier for earlier, later in pairwise(moments))

    def _compare(self, found: dict[str, Path]) -> None:
        for run_type, path in found.items():
            with suppress(FileNotFoundError):
                status = path.stat()
                mark = (status.st_ino, status.st_mtime_ns)
                known = self._seen.get(path)
                if known is not None and known[0] == mark:
                    continue
                data = path.read_bytes()
                if run_type in self._forgiven and not is_whole(data):
                    continue
                self._forgiven.discard(run_type)
                digest = hashlib.sha256(data).hexdigest()
                if known is not None and known[1] != digest:
                    self.changed.add(run_type)
                self._seen[path] = (mark, digest)
                self.appeared.setdefault(run_type, time.monotonic())
