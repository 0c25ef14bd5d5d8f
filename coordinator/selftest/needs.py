"""What rows need of the machine that they are run on, and what to do where it is missing."""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from coordinator.selftest.engine import DockerCommand

LIBRARY = "libfaketimeMT.so.1"
MALLOC = "libc_malloc_debug.so.0"
_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib")


def faketime_library() -> Path | None:
    """The library that moves the clock of the programs it is loaded into; None where there is none."""
    found = (path for folder in _FOLDERS for path in Path(folder).glob(f"**/faketime/{LIBRARY}"))
    return next(found, None)


def malloc_library() -> Path | None:
    """The C library's own memory allocator as a library to load before others; None where there is none."""
    found = (path for folder in _FOLDERS for path in Path(folder).glob(f"**/{MALLOC}"))
    return next(found, None)


def _redis() -> str | None:
    return None if shutil.which("redis-server") else "there is no redis-server: scripts/redis.sh installs it"


def _docker() -> str | None:
    if DockerCommand().answers():
        return None
    return "the docker command reaches no engine: `make engine` starts one"


def _dockerd() -> str | None:
    missing = [name for name in ("dockerd", "unshare", "nsenter") if shutil.which(name) is None]
    return f"an engine of its own needs {' and '.join(missing)}" if missing else None


def _root() -> str | None:
    return None if os.geteuid() == 0 else "it mounts file systems, which only root may do"


def _faketime() -> str | None:
    if faketime_library() is None:
        return f"there is no {LIBRARY} (Debian: libfaketime)"
    return None if malloc_library() else f"there is no {MALLOC}, which comes with the C library from 2.34 on"


NEEDS: dict[str, Callable[[], str | None]] = {
    "redis": _redis,
    "docker": _docker,
    "dockerd": _dockerd,
    "root": _root,
    "faketime": _faketime,
}
"""Name -> why it cannot be had here, or None."""


def missing(names: Iterable[str]) -> str | None:
    """Why a row that needs these cannot be run here; None where it can."""
    reasons = [reason for name in names if (reason := NEEDS[name]())]
    return "; ".join(reasons) or None
