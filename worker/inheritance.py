"""What a child of the pool must not have of its worker's: connections.

A child that takes a lost one's place is forked from a worker that is connected. A connection that the worker then
gives up stays open in the child: Redis goes on taking it for a listener and may hand it a job, and the worker's loop
goes on being told of it, under a number that the next connection has got by then.
"""

import os
import socket
import stat
from contextlib import suppress

_NETWORK = (socket.AF_INET, socket.AF_INET6)


def leave_connections() -> None:
    """Have whatever is forked from this process hold none of its network connections; it makes its own."""
    os.register_at_fork(after_in_child=_let_go)


def _let_go() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):  # the listing's own is closed by now
            if stat.S_ISSOCK(os.fstat(fd).st_mode) and _family(fd) in _NETWORK:
                # Not closed: whichever object has the number closes that in the end, and it must not be another's.
                os.dup2(nothing, fd, inheritable=False)
    os.close(nothing)


def _family(fd: int) -> int:
    seen = socket.socket(fileno=fd)
    try:
        return seen.family
    finally:
        seen.detach()
