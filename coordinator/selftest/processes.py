"""Processes of the selftest's own: started with a log each, signalled, looked into by /proc, and gone at the end."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from shared.errors import Unavailable
from shared.settings import child_environment


class Process:
    """One process and its descendants. It leads a session of its own, so that a Ctrl-C is the suite's to act on."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: dict[str, str]) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                list(command),
                env=child_environment(**environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative where a signal ended it."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        """Send a signal to the process itself; nothing where it has ended."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    def signal_all(self, number: int) -> None:
        """Send a signal to it and to what it has forked, but not to what runs in sessions of their own."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """SIGKILL to the process itself, and wait for its end: its children find out by themselves."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def stop(self, seconds: float = 40.0) -> None:
        """Ask it to end, and its group with it by force where it does not."""
        self.signal_all(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.end_by_force()

    def end_by_force(self) -> None:
        """SIGKILL to it and its group."""
        self.signal_all(signal.SIGKILL)
        self._process.wait()

    def wait(self, seconds: float) -> int:
        """Its exit code; raises Unavailable where it has not ended after so many seconds."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"{self.name} has not ended after {seconds:.0f} s.") from None

    def children(self) -> list[int]:
        """The processes that it has started and that still run: of a worker, its pool."""
        return children_of(self.pid)

    def said(self) -> str:
        """All that it has printed."""
        return self.log.read_text(errors="replace")


def children_of(pid: int) -> list[int]:
    """The direct children of a process, oldest first."""
    with suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def open_files(pid: int) -> Iterator[str]:
    """The paths of the files that a process holds open."""
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                yield os.readlink(entry)


def local_ports(pid: int) -> set[int]:
    """The TCP ports of a process's own ends of its connections over IPv4."""
    sockets = {path[8:-1] for path in open_files(pid) if path.startswith("socket:[")}
    ports = set()
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
            words = line.split()
            if words[9] in sockets:
                ports.add(int(words[1].rpartition(":")[2], 16))
    return ports


def resident_mib(pid: int) -> float:
    """Resident memory of a process in MiB; 0 where it is gone."""
    with suppress(OSError):
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


def kill_pid(pid: int, number: int = signal.SIGKILL) -> bool:
    """Send a signal to any process; whether it was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def until(condition: Callable[[], bool], seconds: float, pause: float = 0.1) -> bool:
    """Wait for a condition; whether it held within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True
