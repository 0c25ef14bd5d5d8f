"""Where a run's gateway socket lies."""

import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import UsageError

SOCKET_NAME = "gateway.sock"
_PREFIX = "scaffoldry-"
_LONGEST_PATH = 107
"""Bytes; the kernel's bound for the address of a Unix socket (unix(7): 108 with the closing zero)."""
_SETTLED_SECONDS = 60.0


@contextmanager
def socket_directory(parent: Path | None) -> Iterator[Path]:
    """A new directory for one socket, removed at the end.

    It lies within a private one, so that no other user of the host reaches it; the directory itself, which is all that
    a container sees, may be passed through by anyone.
    """
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    private = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
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
    """Remove the socket directories of this user that nobody listens in any more; how many there were."""
    count = 0
    for private in Path(parent or tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        path = private / "g" / SOCKET_NAME
        try:
            stray = time.time() - private.stat().st_mtime > _SETTLED_SECONDS and path.is_socket() and not _listens(path)
        except OSError:
            # Another user's, or gone meanwhile.
            continue
        if stray:
            shutil.rmtree(private, ignore_errors=True)
            count += 1
    return count


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            return False
    return True
