"""The digests of scaffolds' code, for as little reading as can be."""

import os
from pathlib import Path

from shared import fresh
from shared.job_key import code_digest

KEPT = 1024
"""Digests in memory: those of the files that were looked at last."""

_Version = tuple[int, int, int]


class CodeDigests:
    """Looks at files within ``root``; each is read again only when it has changed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._kept: dict[Path, tuple[_Version, str]] = {}

    def look(self, path: Path) -> str:
        """The digest of a file. Raises FileNotFoundError."""
        return fresh.freshly(lambda: self._look(path), path, self._root)

    def last(self, path: Path) -> str:
        """The digest of a file as it was when it was last looked at, so that no look is needed. FileNotFoundError."""
        return self._kept[path][1] if path in self._kept else self.look(path)

    def _look(self, path: Path) -> str:
        # Opened first: only that asks the server whether it has changed.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            version = status.st_ino, status.st_mtime_ns, status.st_size
            known = self._kept.pop(path, None)
            self._kept[path] = known if known and known[0] == version else (version, code_digest(file.read()))
        for oldest in list(self._kept)[:-KEPT]:
            del self._kept[oldest]
        return self._kept[path][1]
