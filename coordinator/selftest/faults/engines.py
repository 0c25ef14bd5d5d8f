"""Faults of Docker engines and containers."""

import random
import time

from coordinator.selftest.engine import Container
from coordinator.selftest.faults.base import Fault, look_for, moments
from coordinator.selftest.faults.evidence import Attempt, Spans, at_work, engine_answers, failed, try_of
from coordinator.selftest.own_engine import OwnEngine
from coordinator.selftest.results import Bound
from coordinator.selftest.witness import Ledger
from coordinator.selftest.workload import Workload
from coordinator.selftest.world import World

_GRACE = 30.0
_RESTARTS = 3
_END_SECONDS = 60.0
"""In which the log tells how an attempt ended whose container was killed."""
_PATIENCE = 3.0
"""Seconds after which an engine that has not answered is taken to hang."""


class KilledContainers(Fault):
    number = 15
    name = "10% of containers killed from outside"
    also = "`infra_error`, retried"
    containers = True

    def harm(self, world: World, dice: random.Random) -> None:
        self._killed: list[Attempt] = []
        for moment in moments(dice, world.workload.jobs, world.workload.jobs // 10):
            world.reach(moment)
            while not self._hit_one(world, dice):
                pass

    def _hit_one(self, world: World, dice: random.Random) -> bool:
        """Kill a container; whether its program had not answered yet: else that was too late to be a fault."""
        victim = dice.choice(look_for(world, lambda: self._running(world)))
        if not world.engine.kill(victim.id):
            return False
        world.interrupt([victim.run_type])
        attempt = (victim.run_type, int(victim.attempt))
        self._killed.append(attempt)
        return world.wait_for(lambda: self._has_ended(world, attempt), _END_SECONDS) and self._unanswered(
            world, attempt
        )

    def _running(self, world: World) -> list[Container]:
        running = [one for one in world.engine.containers(world.experiment.name) if one.running]
        return [one for one in running if world.may_interrupt([one.run_type])]

    def _has_ended(self, world: World, attempt: Attempt) -> bool:
        one = try_of(world.experiment, attempt)
        return one is not None and bool(one.ends)

    def _unanswered(self, world: World, attempt: Attempt) -> bool:
        one = try_of(world.experiment, attempt)
        return one is None or not one.answered

    def bound(self, world: World, found: Ledger) -> Bound:
        """As many as planned had not answered yet, and were tried again; none scored for it, say the scores."""
        wanted = world.workload.jobs // 10
        hit = [one for one in self._killed if self._unanswered(world, one)]
        logged = [one for one in hit if failed(world.experiment, one)]
        retried = [(run, number) for run, number in logged if found.attempts.get(run, 0) > number]
        figure = f"{len(self._killed)} killed, {len(hit)} unanswered: {len(logged)} infra_error, {len(retried)} retried"
        return Bound(holds=len(hit) >= wanted and len(hit) == len(retried), figure=figure)


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
    name = f"Docker daemon restarted {_RESTARTS} times"
    also = "no run scored 0 for it"

    def harm(self, world: World, dice: random.Random) -> None:
        self._hit: list[set[Attempt]] = []
        """What was at work when the engine was stopped, each time."""
        for moment in moments(dice, world.workload.jobs, _RESTARTS):
            world.reach(moment)
            self._hit.append(look_for(world, lambda: at_work(world)))
            self.engine.stop()
            world.pause(dice.uniform(0.0, 5.0))
            self.engine.start()

    def bound(self, world: World, found: Ledger) -> Bound:
        """There was something to lose each time, and something was lost; none scored for it, say the scores."""
        hit = set().union(*self._hit)
        lost = [one for one in hit if failed(world.experiment, one)]
        figure = f"{' + '.join(str(len(one)) for one in self._hit)} runs in hand, {len(lost)} of them infra_error"
        return Bound(holds=len(self._hit) == _RESTARTS and all(self._hit) and bool(lost), figure=figure)


class HangingEngine(OwnEngineFault):
    number = 16
    name = "the Docker API hangs"
    also = "bounded by the deadline + 30 s"

    def adapt(self, workload: Workload) -> Workload:
        return workload.model_copy(update={"timeout": workload.seconds + 10.0})

    def harm(self, world: World, dice: random.Random) -> None:
        self._spans = Spans(world)
        world.reach(dice.randrange(world.workload.jobs // 8, world.workload.jobs // 2))
        self._answered = [self._answers(world)]
        """Whether the API did: before it was hung, then, and when those in hand were at their ends."""
        self._held = look_for(world, lambda: at_work(world))
        self._since = time.monotonic()
        self.engine.hang(True)
        try:
            self._answered.append(self._answers(world))
            # Longer than they may take, so that who is let go only by the end of it has taken too long.
            world.wait_for(lambda: not self._held & at_work(world), self._limit(world) + 1.0)
            self._answered.append(self._answers(world))
        finally:
            self.engine.hang(False)
            self._until = time.monotonic()

    def _answers(self, world: World) -> bool:
        return engine_answers(world, self.engine.command.url or "", _PATIENCE)

    def _limit(self, world: World) -> float:
        """Seconds that an attempt may take, from its start."""
        return world.workload.timeout + _GRACE

    def bound(self, world: World, found: Ledger) -> Bound:
        """The API hung, somebody's attempt came to grief by it, and none that met it took longer than it may."""
        met = self._spans.during(self._since, self._until)
        lost = [one for one in self._held if failed(world.experiment, one)]
        longest, limit = max(met.values(), default=0.0), self._limit(world)
        silent = self._answered == [True, False, False]
        figure = (
            f"{'hung' if silent else 'NOT hung'} for {self._until - self._since:.0f} s: {len(self._held)} runs "
            f"in hand, {len(lost)} of them infra_error, {len(met.keys() - self._held)} taken meanwhile; "
            f"the longest took {longest:.0f} s of {limit:.0f}"
        )
        return Bound(holds=silent and bool(lost) and longest <= limit, figure=figure)
