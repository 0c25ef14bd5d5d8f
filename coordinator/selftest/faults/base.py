"""What a fault is: one row of the matrix."""

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, TypeVar

from coordinator.selftest.results import Bound
from coordinator.selftest.witness import Ledger, is_committed, starts
from coordinator.selftest.workload import Workload
from coordinator.selftest.world import EndedEarly, World

T = TypeVar("T")

LEASE_SECONDS = 30.0
"""How long a lease outlives its holder; the bounds are stated in it."""
RESTART_SECONDS = LEASE_SECONDS + 15.0
CONSUMING_SECONDS = 60.0


class Fault(ABC):
    """Something that is done to a world while it runs. One file holds the faults of one part of the machinery."""

    number: ClassVar[int]
    name: ClassVar[str]
    also: ClassVar[str]
    """The row's own bound, beside what every row must keep."""
    needs: ClassVar[tuple[str, ...]] = ()
    """What it needs beside Redis: names of ``needs.NEEDS``."""
    containers: ClassVar[bool] = False
    """Whether it makes no sense without containers."""

    def adapt(self, workload: Workload) -> Workload:
        """The workload that it is done to."""
        return workload

    def quiet(self, workload: Workload) -> Workload:
        """The workload of the fault-free run that it is compared with; ``adapt``'s unless that is said otherwise."""
        return workload

    def set_up(self, world: World) -> None:  # noqa: B027  # most need nothing
        """Prepare a world that has not been started."""

    @abstractmethod
    def harm(self, world: World, dice: random.Random) -> None:
        """Do it. Returns when it is done; the experiment may still be going on."""

    @abstractmethod
    def bound(self, world: World, found: Ledger) -> Bound:
        """Whether the row's own bound held, once the experiment has ended."""

    def but_for(self, world: World) -> tuple[str, ...]:
        """The runs that are excused: they must end in quarantine."""
        return ()


def moments(dice: random.Random, jobs: int, count: int) -> list[int]:
    """``count`` numbers of committed results, in order, at which to do something: not at the very start or end."""
    last = max(int(jobs * 0.85), count + 1)
    return sorted(dice.sample(range(1, last), count))


def look_for(world: World, look: Callable[[], T | None]) -> T:
    """What a look finds, as soon as it finds anything; raises EndedEarly where the coordinator ends before that."""
    while not (found := look()):
        if world.coordinator.exit_code is not None:
            raise EndedEarly(f"The coordinator ended ({world.coordinator.exit_code}) before there was anything to hit.")
        world.pause(0.05)
    return found


class Stalls:
    """Measures how long work that was stalled stays so.

    It is stalled until it is started anew; or is committed, where that had happened just before. When it was enqueued
    again is measured as well: from then on it waits for workers that have other work to do.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._open: dict[str, tuple[float, int]] = {}
        """Run -> since when it is not at work, and how often it had been started by then."""
        self._stalled: set[str] = set()
        """Those of them that are not enqueued again either."""
        self.enqueued: list[float] = []
        """Seconds until each was enqueued again."""
        self.started: list[float] = []
        """Seconds until each was started anew."""
        self._looked = 0.0
        world.on_tick(self.look)

    def note(self, runs: Iterator[str] | list[str]) -> None:
        """These were in hand at a moment when something was done to whoever had them."""
        for run in runs:
            self._open[run] = (time.monotonic(), len(starts(self._world.experiment, run)))
            self._stalled.add(run)

    def look(self) -> None:
        """See which of them go on."""
        now = time.monotonic()
        if not self._open or now - self._looked < 0.5:
            return
        self._looked = now
        try:
            waiting = self._world.waiting()
        except Exception:  # Redis may be what is broken
            waiting = set()
        for run, (since, begun) in list(self._open.items()):
            again = is_committed(self._world.experiment, run) or len(starts(self._world.experiment, run)) > begun
            if run in self._stalled and (again or run in waiting):
                self.enqueued.append(now - since)
                self._stalled.remove(run)
            if again:
                self.started.append(now - since)
                del self._open[run]

    def bound(self, limit: float = RESTART_SECONDS) -> Bound:
        """All were started anew within the limit."""
        self._looked = 0.0
        self.look()  # the last may have come just before the end
        worst, last = max(self.enqueued, default=0.0), max(self.started, default=0.0)
        figure = f"{len(self.started)} stalled, enqueued again within {worst:.0f} s, restarted within {last:.0f} s"
        if self._open:
            figure += f", {len(self._open)} never"
        return Bound(holds=bool(self.started) and not self._open and last <= limit, figure=figure)


class Consuming:
    """Whether each worker takes jobs again after a moment: it starts one, or waits for one at Redis."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.seconds: list[float] = []

    def again(self) -> None:
        """Wait until all do; the time it took is kept, also where they do not."""
        began = time.monotonic()
        before = {worker.name: self._started(worker.name) for worker in self._world.workers}
        self._world.wait_for(lambda: self._all(before), CONSUMING_SECONDS)
        self.seconds.append(time.monotonic() - began)

    def _all(self, before: dict[str, int]) -> bool:
        self._world.pause(1.0)
        try:
            return all(
                self._started(worker.name) > before[worker.name] or self._world.hears(worker)
                for worker in self._world.workers
            )
        except Exception:  # Redis may be on its way back
            return False

    def _started(self, worker: str) -> int:
        """How many starts of runs the logs tell of on that worker."""
        experiment = self._world.experiment
        runs = self._world.workload.run_types
        return sum(name == worker for run in runs for _, name in starts(experiment, run))

    def bound(self) -> Bound:
        """All workers did, each time, within a minute."""
        worst = max(self.seconds, default=0.0)
        return Bound(holds=bool(self.seconds) and worst < CONSUMING_SECONDS, figure=f"at most {worst:.0f} s")
