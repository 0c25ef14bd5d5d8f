"""Faults of Docker engines and containers."""

import random

from coordinator.selftest.faults.base import Fault, moments
from coordinator.selftest.faults.evidence import tries
from coordinator.selftest.own_engine import OwnEngine
from coordinator.selftest.results import Bound
from coordinator.selftest.witness import Ledger, starts
from coordinator.selftest.workload import Workload
from coordinator.selftest.world import World

_GRACE = 30.0


class KilledContainers(Fault):
    number = 15
    name = "10% of containers killed from outside"
    also = "`infra_error`, retried"
    containers = True

    def harm(self, world: World, dice: random.Random) -> None:
        self._killed: list[tuple[str, int]] = []
        """Run, and which of its starts that was."""
        for moment in moments(dice, world.workload.jobs, world.workload.jobs // 10):
            world.reach(moment)
            while not self._kill_one(world, dice):
                world.reach(0)

    def _kill_one(self, world: World, dice: random.Random) -> bool:
        running = [one for one in world.engine.containers(world.experiment.name) if one.running]
        running = [one for one in running if world.may_interrupt([one.run_type])]
        if not running:
            return False
        victim = dice.choice(running)
        if not world.engine.kill(victim.id):
            return False
        world.interrupt([victim.run_type])
        self._killed.append((victim.run_type, len(starts(world.experiment, victim.run_type))))
        return True

    def bound(self, world: World, found: Ledger) -> Bound:
        """Those that had not answered yet were tried again; that none was scored for it, the scores say."""
        wanted = world.workload.jobs // 10
        hit = [(run, start) for run, start in self._killed if not self._had_answered(world, run, start)]
        logged = [(run, start) for run, start in hit if tries(world.experiment, run)[start - 1].is_infra_error]
        retried = [(run, start) for run, start in logged if found.attempts.get(run, 0) > start]
        figure = f"{len(self._killed)} killed, {len(hit)} unanswered: {len(logged)} infra_error, {len(retried)} retried"
        enough = len(self._killed) >= wanted and 2 * len(hit) >= wanted
        return Bound(holds=enough and len(hit) == len(retried), figure=figure)

    def _had_answered(self, world: World, run: str, start: int) -> bool:
        """Whether the program's answer was there before its container was killed."""
        return tries(world.experiment, run)[start - 1].answered


class OwnEngineFault(Fault):
    """A fault of an engine that is the world's own."""

    needs = ("root", "dockerd")
    containers = True

    def set_up(self, world: World) -> None:
        self.engine = OwnEngine(world.folder / "engine")
        world.stack.callback(self.engine.end)
        self.engine.start()
        self.engine.take_image(world.engine)
        world.engine = self.engine.command


class RestartedEngine(OwnEngineFault):
    number = 14
    name = "Docker daemon restarted 3 times"
    also = "no run scored 0 for it"

    def harm(self, world: World, dice: random.Random) -> None:
        self._hit = 0
        for moment in moments(dice, world.workload.jobs, 3):
            world.reach(moment)
            self._hit += len(world.all_in_hand())
            self.engine.stop()
            world.pause(dice.uniform(0.0, 5.0))
            self.engine.start()

    def bound(self, world: World, found: Ledger) -> Bound:
        return Bound(holds=self._hit > 0, figure=f"{self._hit} runs hit")


class HangingEngine(OwnEngineFault):
    number = 16
    name = "the Docker API hangs"
    also = "bounded by the deadline + 30 s"

    def adapt(self, workload: Workload) -> Workload:
        return workload.model_copy(update={"timeout": workload.seconds + 10.0})

    def harm(self, world: World, dice: random.Random) -> None:
        world.reach(dice.randrange(world.workload.jobs // 8, world.workload.jobs // 2))
        world.wait_for(lambda: bool(world.all_in_hand()))
        held = self._at_work(world)
        limit = world.workload.timeout + _GRACE
        self._hit, self._left = len(held), set(held)
        self.engine.hang(True)
        try:
            world.wait_for(lambda: not held & self._at_work(world), limit)
            self._left = held & self._at_work(world)
        finally:
            self.engine.hang(False)

    def _at_work(self, world: World) -> set[tuple[str, int]]:
        """The runs in hand, each with the number of its starts: one that is tried again is another."""
        return {(run, len(starts(world.experiment, run))) for run in world.all_in_hand().values()}

    def bound(self, world: World, found: Ledger) -> Bound:
        figure = f"{self._hit - len(self._left)} of {self._hit} runs ended in time"
        return Bound(holds=self._hit > 0 and not self._left, figure=figure)
