"""Proof that a fault really happened, by what it left on the volume: logs, marks, and what it refuses."""

import errno
import re
import select
import socket
import time
from contextlib import suppress
from pathlib import Path

from coordinator.selftest.processes import open_files
from coordinator.selftest.witness import LOGS
from coordinator.selftest.world import World
from shared.models.base import Frozen

Attempt = tuple[str, int]
"""A run, and which of its attempts."""
_DRAFT = re.compile(r"/attempts/0/0/(valid_\d+)\.\d+-(\d+)\.")


class Try(Frozen):
    """One attempt as its run's log tells of it."""

    number: int
    answered: bool = False
    """Whether it ended with an answer of the program's."""
    ends: tuple[str, ...] = ()
    """What its closing lines say, without their mark: none where whoever was at work was killed."""

    @property
    def is_infra_error(self) -> bool:
        """Whether it ended as a failure of our own machinery: one that says nothing about the program.

        A log that says "not counted" at first does so for that, as where the host lost the run; of a result that was
        refused later it tells the result first.
        """
        return bool(self.ends) and self.ends[0].startswith(("infra_error", "not counted."))


def tries(experiment: Path, run_type: str) -> list[Try]:
    """The attempts that a run's log tells of, in order; a run that two are at work on at a time is not told apart."""
    try:
        text = (experiment / LOGS / f"{run_type}.log").read_text(errors="replace")
    except OSError:
        return []
    # A program's own lines cannot begin so: what it prints is indented where it looks like a mark.
    return [_try(section) for section in ("\n" + text).split("\n=== attempt ")[1:]]


def _try(section: str) -> Try:
    lines = section.splitlines()
    ends = tuple(line.removeprefix("=== finished: ") for line in lines if line.startswith("=== finished: "))
    one = Try(number=int(lines[0].split()[0]), ends=ends)
    return one.model_copy(update={"answered": "--- answer" in lines and not one.is_infra_error})


def try_of(experiment: Path, attempt: Attempt) -> Try | None:
    """What the log of its run tells of an attempt; None where it does not."""
    run_type, number = attempt
    return next((one for one in tries(experiment, run_type) if one.number == number), None)


def failed(experiment: Path, attempt: Attempt) -> bool:
    """Whether an attempt ended as a failure of our own machinery."""
    one = try_of(experiment, attempt)
    return one is not None and one.is_infra_error


def at_work(world: World) -> set[Attempt]:
    """The attempts that workers have in hand, by the drafts that they hold open."""
    pids = [pid for worker in world.workers for pid in worker.children()]
    found = (_DRAFT.search(path) for pid in pids for path in open_files(pid))
    return {(one[1], int(one[2])) for one in found if one}


class Spans:
    """From when to when each attempt was seen at work, several times a second from now on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.seen: dict[Attempt, tuple[float, float]] = {}
        """Attempt -> the first moment and the last, by the monotonic clock."""
        world.on_tick(self.look)

    def look(self) -> None:
        """See who is at work now."""
        now = time.monotonic()
        for attempt in at_work(self._world):
            self.seen[attempt] = (self.seen.get(attempt, (now, now))[0], now)

    def during(self, since: float, until: float) -> dict[Attempt, float]:
        """The attempts that were at work at some time between two moments -> how long each was in all, in seconds."""
        return {one: last - first for one, (first, last) in self.seen.items() if first <= until and last >= since}


def engine_answers(world: World, url: str, seconds: float) -> bool:
    """Whether an engine at a Unix socket answers a request within so many seconds; raises OSError where it takes none.

    The world goes on meanwhile, which the docker command would not let it.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(seconds)
        client.connect(url.removeprefix("unix://"))
        client.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
        return world.wait_for(lambda: bool(select.select([client], [], [], 0)[0]), seconds) and bool(client.recv(1))


def refused_commits(experiment: Path, run_type: str) -> list[tuple[int, int]]:
    """(session, attempt) of each commit of a run that was tried and refused, by the marks that are left of them."""
    found = []
    for path in (experiment / "dropped").glob(f"*.{run_type}.*-*.*"):
        session, _, attempt = path.name.split(".")[-2].partition("-")
        found.append((int(session), int(attempt)))
    return sorted(found)


def refusal(folder: Path) -> str | None:
    """The name of the error with which a folder refuses a new file of a page; None where it takes one."""
    path = folder / ".probe"
    try:
        with path.open("wb", buffering=0) as file:
            file.write(bytes(4096))
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "?")
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return None
