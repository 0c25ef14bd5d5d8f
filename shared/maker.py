"""The process that has made something, named so that others can tell whether it lives."""

import os
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

_ENDED = "ZX"
"""The states of a process that nobody has waited for yet."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_IDS = Path("/proc/self/ns/pid")


def this_process() -> str:
    """Its id, and when it was started: ids are used again. It says nothing to other hosts, nor to other containers."""
    return f"{os.getpid()}.{_stat(os.getpid())[1]}"


def this_writer() -> str:
    """This process, named among those of all hosts; asked of the system once in its life."""
    return _writer(os.getpid())


def lives(maker: str) -> bool:
    """Whether the process of that name lives; of one without a name that is not known, and it is left alone."""
    pid, _, started = maker.partition(".")
    if not pid.isdecimal():
        return True
    try:
        state, when = _stat(int(pid))
    except OSError:
        return False
    return state not in _ENDED and when == started


def writer_lives(writer: str) -> bool | None:
    """Whether the process that ``this_writer`` named lives; None where that cannot be told from here."""
    place, _, maker = writer.partition(".")
    pid, _, started = maker.partition(".")
    if not place or place != _place() or not (pid.isdecimal() and started.isdecimal()):
        return None
    # Some systems hide what users do from each other, but not whether they do.
    return lives(maker) or _is_hidden(int(pid))


def is_left(maker: str, own: bool) -> bool:
    """Whether what that process made is nobody's: it is gone, or, where ``own`` counts as well, this one."""
    return not lives(maker) or (own and maker == this_process())


def is_running(pid: int) -> bool:
    """Whether a process of that id lives, whichever it is."""
    try:
        return _stat(pid)[0] not in _ENDED
    except OSError:
        return False


@lru_cache(maxsize=1)
def _writer(pid: int) -> str:
    return f"{_place()}.{this_process()}"


@lru_cache(maxsize=1)
def _place() -> str:
    """Where process ids mean the same as here: this boot of this host, and this container; empty if that is unknown."""
    try:
        return sha256(f"{_BOOT.read_text()}{_IDS.stat().st_ino}".encode()).hexdigest()[:12]
    except OSError:
        return ""


def _is_hidden(pid: int) -> bool:
    """Whether there is a process of which this user may know no more than that."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return not Path(f"/proc/{pid}").exists()
    except (OSError, OverflowError):
        return False
    return False


def _stat(pid: int) -> tuple[str, str]:
    """State and time of start. (The name comes before them in parentheses, and may hold anything.)"""
    fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return fields[0], fields[19]
