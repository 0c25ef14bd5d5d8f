"""Faults of coordinators."""

import random
import re
import signal

from coordinator.selftest.faults.base import Fault, moments
from coordinator.selftest.processes import open_files
from coordinator.selftest.results import Bound
from coordinator.selftest.witness import Ledger, temporary_files, torn_files
from coordinator.selftest.world import World, this_host

_BEGIN_SECONDS = 30.0
_REFUSAL_SECONDS = 45.0
_INSIDE = 3
"""Kills between temporary file and rename, at least: one while the experiment is made, and those at its end."""
_WRITES = 12
"""A coordinator that has nothing left to run writes fewer files than that before its last scoring file."""


class KilledCoordinator(Fault):
    number = 8
    name = "coordinator SIGKILL at 10 points, some between temporary file and rename"
    also = "every file parses; resume ends right"

    def set_up(self, world: World) -> None:
        self._torn: set[str] = set()
        self._kills = self._inside = self._scoring = 0
        self._wanted = world.workload.share(10, least=5)
        dice = random.Random(f"writes {world.workload.seed}")
        world.coordinator_changes = (f"die-at-publish={dice.randrange(1, 10)}",)  # while it makes the experiment

    def harm(self, world: World, dice: random.Random) -> None:
        world.coordinator_changes = ()
        if not self._dies(world, _BEGIN_SECONDS):
            self._kill(world)
        for moment in moments(dice, world.workload.jobs, self._wanted - _INSIDE):
            world.run_coordinator()
            world.wait_for(lambda: self._conducts(world) or world.coordinator.exit_code is not None)
            world.reach(moment)
            self._kill(world)
        for write in range(1, _WRITES):  # a scoring file, unless it writes something before
            world.run_coordinator(f"die-at-publish={write}")
            if not self._dies(world, None) or (self._scoring and self._inside >= _INSIDE):
                break
        if world.coordinator.exit_code != 0:
            world.run_coordinator()

    def _conducts(self, world: World) -> bool:
        """Whether the coordinator holds files of the experiment: before, it is no more than a program that loads."""
        known = world.known_experiment()
        return known is not None and any(path.startswith(f"{known}/") for path in open_files(world.coordinator.pid))

    def _dies(self, world: World, seconds: float | None) -> bool:
        """Whether it has died of a write in that time; the temporary file that it leaves says of which."""
        world.wait_for(lambda: world.coordinator.exit_code is not None, seconds)
        if world.coordinator.exit_code != -signal.SIGKILL:
            return False
        self._kills += 1
        self._inside += 1
        self._look(world)
        if world.known_experiment() is not None:
            self._scoring += any(name.startswith("scoring/") for name in temporary_files(world.experiment))
        return True

    def _kill(self, world: World) -> None:
        """Kill it; one that has ended by itself is no kill."""
        self._kills += world.coordinator.exit_code is None
        world.coordinator.kill()
        self._look(world)

    def _look(self, world: World) -> None:
        """Look for torn files, also in what is left of an experiment that never got the file that makes it one."""
        for folder in world.data_dir.glob(f"{world.name}_*"):
            self._torn.update(f"{folder.name}/{name}" for name in torn_files(folder))

    def bound(self, world: World, found: Ledger) -> Bound:
        torn = len(self._torn)
        figure = (
            f"{self._kills} kills, {self._inside} of them before a rename, {self._scoring} of these of a scoring file; "
            f"{torn} torn files"
        )
        enough = self._kills >= self._wanted and self._inside >= _INSIDE and self._scoring > 0
        return Bound(holds=not torn and enough, figure=figure)


class TwoCoordinators(Fault):
    number = 9
    name = "two coordinators on one experiment"
    also = "the second is refused, with the first's host and pid"

    def harm(self, world: World, dice: random.Random) -> None:
        self._refused = self._tried = 0
        for moment in moments(dice, world.workload.jobs // 2, 2):
            world.reach(moment)
            self._tried += 1
            # The first stands still meanwhile: a small experiment would be over before the second has loaded.
            world.coordinator.signal(signal.SIGSTOP)
            try:
                second = world.scaffoldry("resume", str(world.experiment))
                world.wait_for(lambda second=second: second.exit_code is not None, _REFUSAL_SECONDS)  # type: ignore[misc]
            finally:
                world.coordinator.signal(signal.SIGCONT)
            if second.exit_code is None:
                second.end_by_force()
                continue
            named = names_holder(second.said(), this_host(), world.coordinator.pid)
            self._refused += second.exit_code != 0 and named

    def bound(self, world: World, found: Ledger) -> Bound:
        figure = f"{self._refused} of {self._tried} refused, with host and pid"
        return Bound(holds=0 < self._tried == self._refused, figure=figure)


def names_holder(said: str, host: str, pid: int) -> bool:
    """Whether a text names a process and its host, each as a word of its own."""
    words = (rf"(?<![\w.-]){re.escape(word)}(?![\w-]|\.\w)" for word in (host, f"process {pid}"))
    return all(re.search(word, said) for word in words)
