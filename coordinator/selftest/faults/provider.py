"""A provider that refuses, fails and hangs, and gateways that die."""

import json
import random

from coordinator.selftest.faults.base import Fault
from coordinator.selftest.processes import kill_pid
from coordinator.selftest.results import Bound
from coordinator.selftest.scripted import DECK, ScriptedProvider
from coordinator.selftest.witness import Ledger
from coordinator.selftest.workload import Workload
from coordinator.selftest.world import World
from shared.errors import ScaffoldryError
from shared.file_manager import ExperimentFileManager


class BadProvider(Fault):
    number = 20
    name = "provider: 429 with retry-after, 500s, hanging; gateway killed"
    also = "budget overshoot 0"
    containers = True

    def adapt(self, workload: Workload) -> Workload:
        """A budget that ends the experiment half-way; it is then raised, so that all is done at the end."""
        self._provider = ScriptedProvider()
        return workload.model_copy(update={"provider": self._provider.url, "max_calls": workload.jobs // 2})

    def quiet(self, workload: Workload) -> Workload:
        return workload.model_copy(update={"max_calls": None})

    def set_up(self, world: World) -> None:
        self._provider.calls.clear()
        world.stack.callback(self._provider.close)

    def harm(self, world: World, dice: random.Random) -> None:
        self._kills, self._wanted = 0, world.workload.share(5)
        self._small = world.workload.max_calls or 0
        self._provider.misbehave(random.Random(dice.random()))
        early = (self._wanted + 1) // 2
        # A call in four is no answer: some three eighths of the jobs are done when the budget is used up.
        self._kill_at(world, dice, 1, world.workload.jobs // 4, early)
        world.wait_for(lambda: world.coordinator.exit_code is not None)
        self._end, self._halfway = world.coordinator.exit_code, world.done()
        self._spent, self._asked = _recorded(world), self._provider.calls.total()
        self._large = self._small + 4 * world.workload.jobs
        _raise_budget(world, self._large)
        world.run_coordinator()
        self._kill_at(world, dice, self._halfway + 1, int(world.workload.jobs * 0.9), self._wanted - early)

    def _kill_at(self, world: World, dice: random.Random, first: int, last: int, times: int) -> None:
        """Kill so many pool children, each with the gateway of a run in hand, between two numbers of results."""
        for moment in sorted(dice.sample(range(first, last), times)):
            world.reach(moment)
            world.wait_for(lambda: self._kill_one(world, dice))
            self._kills += 1

    def _kill_one(self, world: World, dice: random.Random) -> bool:
        if world.coordinator.exit_code is not None:
            raise ScaffoldryError("The coordinator ended before a run was in hand whose gateway could be killed.")
        found = [(pid, run) for pid, run in sorted(world.all_in_hand().items()) if world.may_interrupt([run])]
        if not found:
            return False
        pid, run = dice.choice(found)
        if not kill_pid(pid):
            return False
        world.interrupt([run])
        return True

    def bound(self, world: World, found: Ledger) -> Bound:
        """The small budget ended the experiment in good order, and no call passed either that or the large one."""
        calls, spent = self._provider.calls, _recorded(world)
        bound_small = self._asked <= self._spent == self._small and self._end == 0
        partly = 0 < self._halfway < world.workload.jobs
        bound_large = calls.total() <= spent <= self._large
        all_done = self._kills == self._wanted and all(calls[mood] for mood in DECK)
        figure = (
            f"{self._asked} calls arrived of {self._small} allowed, {calls.total()} in all of {spent} recorded: "
            f"{calls['answer']} answered, {calls['refuse']} x 429, {calls['fail']} x 500, {calls['hang']} hung; "
            f"{self._kills} gateways killed"
        )
        return Bound(holds=bound_small and partly and bound_large and all_done, figure=figure)


def _recorded(world: World) -> int:
    return ExperimentFileManager.open(world.experiment).load_spending().calls


def _raise_budget(world: World, calls: int) -> None:
    """Write another amount into the spec, as a user does before a resume."""
    spec = json.loads(world.spec.read_text())
    spec["budget"] = {"llm_calls": calls}
    world.spec.write_text(json.dumps(spec, indent=2))
