"""Where a run's gateway socket lies."""

import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import UsageError
from worker.gateway.http import OPEN_MODE

SOCKET_NAME = "gateway.sock"
_PREFIX = "scaffoldry-"
_SUFFIX = ".g"
"""Short, and not how the name of any other folder of ours ends."""
_LONGEST_PATH = 107
"""Bytes; the kernel's bound for the address of a Unix socket (unix(7): 108 with the closing zero)."""
_SETTLED_SECONDS = 20.0
"""A folder that holds no socket yet after so long is nobody's; whoever makes one needs some milliseconds for that."""


@contextmanager
def socket_directory(parent: Path | None) -> Iterator[Path]:
    """A new directory for one socket, removed at the end.

    It lies within a private one, so that no other user of the host reaches it; the directory itself, which is all that
    a container sees, may be passed through by anyone.
    """
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    private = Path(tempfile.mkdtemp(prefix=_PREFIX, suffix=_SUFFIX, dir=parent))
    try:
        directory = private / "g"
        directory.mkdir()
        directory.chmod(0o711)
        if len(bytes(directory / SOCKET_NAME)) > _LONGEST_PATH:
            raise UsageError(
                f"The folder {parent or tempfile.gettempdir()} is too deep for Unix sockets; "
                "set SCAFFOLDRY_SOCKET_DIR to a shorter path."
            )
        yield directory
    finally:
        shutil.rmtree(private, ignore_errors=True)


def remove_stray_sockets(parent: Path | None) -> int:
    """Remove the socket directories of this user that nobody listens in any more; how many there were.

    Whether a process listens is seen from every container of the host, unlike whether it lives.
    """
    count = 0
    for private in Path(parent or tempfile.gettempdir()).glob(f"{_PREFIX}*{_SUFFIX}"):
        try:
            stray = _is_stray(private)
        except OSError:
            # Another user's, or gone meanwhile; or it is listened to, and does not answer at present.
            continue
        if stray:
            shutil.rmtree(private, ignore_errors=True)
            count += 1
    return count


def _is_stray(private: Path) -> bool:
    path = private / "g" / SOCKET_NAME
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        mode = 0
    if stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == OPEN_MODE:
        return not _listens(path)
    # Where it is not nobody's after all, whoever makes it finds it gone, and its run is done again.
    return time.time() - private.lstat().st_mtime > _SETTLED_SECONDS


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            return False
    return True
