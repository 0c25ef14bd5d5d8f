"""What the engine has mounted into this worker, where the worker runs in one of the engine's containers."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from worker.sandbox.docker import Engine

_OWN_FILES = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")
"""An engine mounts these into each container from a directory that has the container's id for a name."""
_ID = re.compile(r"[0-9a-f]{64}")
_SHORT_ID = re.compile(r"[0-9a-f]{12}")


def own_mounts(engine: Engine, proc: Path = Path("/proc/self")) -> list[dict[str, Any]] | None:
    """The ``Mounts`` of the container that this process runs in; None where it runs in none of this engine's."""
    for container in own_ids(proc, socket.gethostname()):
        mounts = engine.mounts(container)
        if mounts is not None:
            return mounts
    return None


def own_ids(proc: Path, hostname: str) -> Iterator[str]:
    """Ids that the container of this process may have, the surest first; on a bare host there are none.

    A container's mounts show its id whatever its host name is, control groups where they have no namespace of their
    own, and the host name where nobody gave another.
    """
    seen: set[str] = set()
    for found in (*_of_mounts(_text(proc / "mountinfo")), *_of_groups(_text(proc / "cgroup")), *_of_name(hostname)):
        if found not in seen:
            seen.add(found)
            yield found


def _of_mounts(mountinfo: str) -> Iterator[str]:
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if len(fields) > 4 and fields[4] in _OWN_FILES:
            yield from _ID.findall(fields[3])


def _of_groups(cgroup: str) -> Iterator[str]:
    for line in cgroup.splitlines():
        yield from _ID.findall(line)[-1:]


def _of_name(hostname: str) -> Iterator[str]:
    if _SHORT_ID.fullmatch(hostname):
        yield hostname


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""  # no /proc as Linux has it: then the other ways have to do
