"""Faults of delivery: a message that comes more often than it was sent, or to a job that kills whoever takes it."""

import random

from coordinator.selftest.faults.base import Fault
from coordinator.selftest.faults.deliveries import Deliveries
from coordinator.selftest.faults.evidence import refused_commits
from coordinator.selftest.processes import kill_pid
from coordinator.selftest.results import Bound
from coordinator.selftest.witness import Ledger, starts
from coordinator.selftest.workload import Workload
from coordinator.selftest.world import World

ATTEMPTS = 3
TIMES = 3
VISIBILITY = 5.0
_REST_SECONDS = 60.0
"""In which the messages are taken that are left when the experiment is at its end."""
LEASES = "scaffoldry-lease:"


class ThriceDelivered(Fault):
    number = 10
    name = "every message delivered three times"
    also = "300 commits"

    def set_up(self, world: World) -> None:
        world.coordinator_changes = (f"deliver={TIMES}",)
        self._deliveries = Deliveries(world)
        self._deliveries.start()

    def harm(self, world: World, dice: random.Random) -> None:
        """The coordinator does it, from the start; Redis forgets each lease once, or it would keep the copies apart."""
        client = world.redis.client()
        forgotten: set[bytes] = set()
        while world.coordinator.exit_code is None:
            for lease in set(client.scan_iter(f"{LEASES}*", count=1000)) - forgotten:
                client.delete(lease)
                forgotten.add(lease)
            world.pause(0.1)
        world.wait_for(lambda: min(self._times(world)) >= TIMES, _REST_SECONDS)

    def _times(self, world: World) -> list[int]:
        return self._deliveries.of(world.workload.run_types)

    def bound(self, world: World, found: Ledger) -> Bound:
        """As many results as jobs, though each was delivered so often, and some that were done twice were dropped."""
        count, started, least = len(found.results), started_runs(world), min(self._times(world))
        dropped = sum(len(refused_commits(world.experiment, run)) for run in world.workload.run_types)
        figure = (
            f"{count} commits; each delivered {least} times or more, {self._deliveries.total} in all: {started} "
            f"started, {dropped} of them dropped at their commit, the others turned away before"
        )
        return Bound(holds=count == world.workload.jobs and least >= TIMES and dropped > 0, figure=figure)


class ShortVisibility(Fault):
    number = 11
    name = "visibility timeout of 5 s"
    also = "300 commits"

    def adapt(self, workload: Workload) -> Workload:
        return workload.model_copy(update={"seconds": max(workload.seconds, 2 * VISIBILITY)})

    def set_up(self, world: World) -> None:
        world.changes = (f"visibility={VISIBILITY:.0f}",)
        self._deliveries = Deliveries(world)
        self._deliveries.start()

    def harm(self, world: World, dice: random.Random) -> None:
        """Redis does it, from the start: the long runs take longer than that. The last copies may be taken late."""
        world.wait_for(lambda: world.coordinator.exit_code is not None)
        world.wait_for(lambda: min(self._times(world)) > 1, _REST_SECONDS)

    def _times(self, world: World) -> list[int]:
        """How often the message of each run was taken that outlasts the timeout."""
        workload = world.workload
        return self._deliveries.of(tuple(f"valid_{one}" for one in range(workload.jobs) if workload.is_long(one)))

    def bound(self, world: World, found: Ledger) -> Bound:
        """As many results as jobs, though each job that outlasts the timeout was delivered again."""
        count, times = len(found.results), self._times(world)
        again = sum(one > 1 for one in times)
        figure = (
            f"{count} commits; {again} of {len(times)} long runs delivered again, {self._deliveries.again} messages "
            f"in all; {started_runs(world)} starts"
        )
        return Bound(holds=count == world.workload.jobs and 0 < len(times) == again, figure=figure)


def started_runs(world: World) -> int:
    """How many starts the logs tell of."""
    return sum(len(starts(world.experiment, run)) for run in world.workload.run_types)


class Poison(Fault):
    number = 12
    name = "a poison job (kills its worker)"
    also = "quarantined at 3; 299 finish; exit 1"

    def harm(self, world: World, dice: random.Random) -> None:
        """Kill who has it in hand whenever somebody has: a program in its container could not.

        The first time that is the whole worker, main process and pool at once, as where a host kills it for its memory;
        then the pool child alone. Of a main process that dies alone the pool ends its runs before it follows.
        """
        long = [index for index in range(world.workload.jobs // 2) if world.workload.is_long(index)]
        self._poison = f"valid_{dice.choice(long)}"
        self._kills = self._workers = 0
        while world.coordinator.exit_code is None and self._kills <= ATTEMPTS:
            for index, worker in enumerate(list(world.workers)):
                for pid in [pid for pid, run in world.in_hand(worker).items() if run == self._poison]:
                    self._kill(world, index, pid)
            world.pause(0.2)

    def _kill(self, world: World, index: int, pid: int) -> None:
        if self._workers:
            self._kills += kill_pid(pid)
            return
        self._kills, self._workers = self._kills + 1, self._workers + 1
        world.workers[index].end_by_force()
        world.restart_worker(index)

    def bound(self, world: World, found: Ledger) -> Bound:
        """It was killed so often, once with its worker, and given up; all others are finished."""
        figure = (
            f"{self._kills} kills, {self._workers} of them of a whole worker, {len(found.quarantined)} in quarantine, "
            f"{len(found.results)} finished"
        )
        killed = self._kills == ATTEMPTS and self._workers > 0
        given_up = found.quarantined == (self._poison,) and self._poison not in found.results
        return Bound(holds=killed and given_up and len(found.results) == world.workload.jobs - 1, figure=figure)

    def but_for(self, world: World) -> tuple[str, ...]:
        return (self._poison,)
