"""Who conducts an experiment: one coordinator at a time, by a lock on a file that names its holder.

The lock is the file system's (``flock``), so it ends with its holder however that ends, and no clock is asked. Over NFS
the client turns it into a lock at the server; docs/multi-host.md says when that one is free again.
"""

import errno
import fcntl
import json
import os
import pwd
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from shared.errors import AlreadyConducted
from shared.models.base import Frozen

_TRIES = 4
_PAUSE = 0.05
"""Seconds between two tries: whoever only asks holds the lock for a moment, and a new holder's name takes one."""


class Holder(Frozen):
    """Who holds the lock. ``since`` is the holder's own time of day, for people alone."""

    host: str
    pid: int
    user: str
    since: datetime

    @classmethod
    def here(cls) -> Self:
        """This process."""
        try:
            user = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            user = str(os.getuid())
        return cls(host=socket.gethostname(), pid=os.getpid(), user=user, since=datetime.now(UTC))

    def __str__(self) -> str:
        return f"process {self.pid} of {self.user} on {self.host} (since {self.since:%Y-%m-%d %H:%M:%S} UTC)"


class ConductorLock:
    """The lock of one experiment. The file stays when the lock is let go: only who has it open can hold it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @contextmanager
    def held(self) -> Iterator[Self]:
        """Hold the lock while in the context. Raises as ``take``."""
        try:
            self.take()
            yield self
        finally:
            self.let_go()

    @contextmanager
    def held_if_there(self) -> Iterator[Self]:
        """Hold the lock where its file exists; where not, nobody holds it, and ``take`` makes the file.

        So whoever is to be refused for another reason changes nothing. Raises as ``take``.
        """
        try:
            with suppress(FileNotFoundError):
                self._take(os.O_RDWR)
            yield self
        finally:
            self.let_go()

    def take(self) -> None:
        """Hold the lock from now on, if it is not held yet.

        Raises AlreadyConducted, which names the holder, where another process has it, and OSError where its file cannot
        be written.
        """
        if self._descriptor is None:
            self._take(os.O_RDWR | os.O_CREAT)

    def let_go(self) -> None:
        """Give the lock back; nothing where it is not held."""
        if self._descriptor is None:
            return
        with suppress(OSError):  # a full or a lost volume: the name stays, and says nothing without the lock
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = None

    def holder(self) -> str | None:
        """Who else holds the lock, in words, for those who only look; None where nobody does."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            return None if _locked(descriptor, fcntl.LOCK_SH) else self._named()
        finally:
            os.close(descriptor)

    def _take(self, flags: int) -> None:
        try:
            # Not passed on to child processes: the lock would outlive us with them.
            descriptor = os.open(self._path, flags | os.O_CLOEXEC, 0o644)
        except PermissionError:
            if holder := self.holder():
                raise self._refusal(holder) from None
            raise
        for _ in range(_TRIES):
            if _locked(descriptor, fcntl.LOCK_EX):
                self._descriptor = descriptor
                self._sign(descriptor)
                return
            time.sleep(_PAUSE)
        os.close(descriptor)
        raise self._refusal(self._named())

    def _sign(self, descriptor: int) -> None:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, (Holder.here().model_dump_json() + "\n").encode(), 0)
        os.fsync(descriptor)  # other hosts ask the server who it is

    def _named(self) -> str:
        """The holder as the file names it."""
        try:
            return str(Holder.model_validate(json.loads(self._path.read_bytes())))
        except (OSError, ValueError):  # it is just about to write it
            return "another process, which has not given its name yet"

    def _refusal(self, holder: str) -> AlreadyConducted:
        directory = self._path.parent
        return AlreadyConducted(
            f"{directory} is conducted by {holder}. Wait until that one has ended, or end it: `scaffoldry cancel "
            f"{directory}`. Nothing was changed."
        )


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True
