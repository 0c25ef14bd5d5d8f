"""Faults of delivery: a message that comes more often than it was sent, or to a job that kills whoever takes it."""

import random

from coordinator.selftest.faults.base import Fault
from coordinator.selftest.faults.deliveries import Deliveries
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
        """As many results as jobs, though each was delivered so often, and some were run at the same time."""
        count, started = len(found.results), started_runs(world)
        least = min(self._times(world))
        figure = f"{count} commits; each delivered {least} times or more; {started} starts"
        enough = least >= TIMES and started > world.workload.jobs
        return Bound(holds=count == world.workload.jobs and enough, figure=figure)


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
        """Redis does it, from the start: the long runs take longer than that."""

    def bound(self, world: World, found: Ledger) -> Bound:
        count, again = len(found.results), self._deliveries.again
        figure = f"{count} commits; {again} messages delivered again; {started_runs(world)} starts"
        return Bound(holds=count == world.workload.jobs and again > 0, figure=figure)


def started_runs(world: World) -> int:
    """How many starts the logs tell of."""
    return sum(len(starts(world.experiment, run)) for run in world.workload.run_types)


class Poison(Fault):
    number = 12
    name = "a poison job (kills its worker)"
    also = "quarantined at 3; 299 finish; exit 1"

    def harm(self, world: World, dice: random.Random) -> None:
        """Kill the pool child that has it in hand whenever one has: a program in its container could not."""
        long = [index for index in range(world.workload.jobs // 2) if world.workload.is_long(index)]
        self._poison = f"valid_{dice.choice(long)}"
        self._kills = 0
        while world.coordinator.exit_code is None and self._kills <= ATTEMPTS:
            for pid, run in world.all_in_hand().items():
                if run == self._poison and kill_pid(pid):
                    self._kills += 1
            world.pause(0.2)

    def bound(self, world: World, found: Ledger) -> Bound:
        figure = f"{self._kills} kills, {len(found.quarantined)} in quarantine, {len(found.results)} finished"
        return Bound(holds=self._kills == ATTEMPTS and len(found.results) == world.workload.jobs - 1, figure=figure)

    def but_for(self, world: World) -> tuple[str, ...]:
        return (self._poison,)
