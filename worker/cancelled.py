"""The sessions that this worker was told are cancelled, where the mark on the volume is not yet seen.

The main process is told; its children, forked from it, are those who must know. They share a piece of memory that
holds digests of fixed length: the last thousands, the oldest overwritten first. A session stays cancelled for ever, so
nothing is ever taken out.
"""

import hashlib
import mmap

_LENGTH = 16
_KEPT = 4096


class CancelledSessions:
    """A set of sessions, ``(experiment, number)``, which processes forked from this one share."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._memory = mmap.mmap(-1, kept * _LENGTH)
        self._next = 0

    def add(self, experiment: str, session: int) -> None:
        """Only one process may add."""
        if (experiment, session) in self:
            return
        start = self._next % self._kept * _LENGTH
        self._memory[start : start + _LENGTH] = _digest(experiment, session)
        self._next += 1

    def __contains__(self, key: tuple[str, int]) -> bool:
        wanted, memory = _digest(*key), bytes(self._memory)
        start = memory.find(wanted)
        while start % _LENGTH and start != -1:
            start = memory.find(wanted, start + 1)
        return start != -1


def _digest(experiment: str, session: int) -> bytes:
    return hashlib.sha256(f"{experiment}#{session}".encode()).digest()[:_LENGTH]


cancelled_sessions = CancelledSessions()
"""This worker's."""
