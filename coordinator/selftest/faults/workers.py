"""Faults of workers and their pools."""

import random
import signal

from coordinator.selftest.faults.base import Fault, Stalls, look_for, moments
from coordinator.selftest.faults.evidence import refused_commits
from coordinator.selftest.processes import Process, kill_pid
from coordinator.selftest.results import Bound
from coordinator.selftest.witness import Ledger, is_committed, starts
from coordinator.selftest.world import SLOTS, WORKERS, World
from shared.errors import Unavailable

LEAVE_SECONDS = 90.0
"""How long a worker that was told to end may finish what it has in hand."""
READY_SECONDS = 60.0


def pick_worker(world: World, dice: random.Random) -> tuple[int, list[str]]:
    """A worker that has runs in hand, none of which would be given up were it killed; its place, and the runs."""

    def look() -> tuple[int, list[str]] | None:
        for index in dice.sample(range(WORKERS), WORKERS):
            runs = list(world.in_hand(world.workers[index]).values())
            if runs and world.may_interrupt(runs):
                return index, runs
        return None

    return look_for(world, look)


_LATE_SECONDS = 60.0
"""In which a worker that goes on has come to its late commit."""


class KilledWorkers(Fault):
    number = 1
    name = "20 x SIGKILL of a worker's main process"
    also = "stalled work restarted within lease + 15 s"

    def harm(self, world: World, dice: random.Random) -> None:
        self._stalls = Stalls(world)
        for moment in moments(dice, world.workload.jobs, world.workload.share(20)):
            world.reach(moment)
            index, runs = pick_worker(world, dice)
            world.workers[index].kill()
            world.interrupt(runs)
            self._stalls.note(runs)
            world.restart_worker(index)

    def bound(self, world: World, found: Ledger) -> Bound:
        return self._stalls.bound()


class KilledChildren(Fault):
    number = 2
    name = "20 x SIGKILL of a pool child"
    also = "stalled work restarted within lease + 15 s"

    def harm(self, world: World, dice: random.Random) -> None:
        self._stalls = Stalls(world)
        for moment in moments(dice, world.workload.jobs, world.workload.share(20)):
            world.reach(moment)
            pid, run = self._pick(world, dice)
            kill_pid(pid)
            world.interrupt([run])
            self._stalls.note([run])

    def bound(self, world: World, found: Ledger) -> Bound:
        return self._stalls.bound()

    def _pick(self, world: World, dice: random.Random) -> tuple[int, str]:
        def look() -> list[tuple[int, str]]:
            return [(pid, run) for pid, run in sorted(world.all_in_hand().items()) if world.may_interrupt([run])]

        return dice.choice(look_for(world, look))


class StoppedWorker(Fault):
    number = 3
    name = "SIGSTOP a worker past its lease, then CONT"
    also = "its late commit is refused"

    def harm(self, world: World, dice: random.Random) -> None:
        self._late: dict[str, int] = {}
        world.reach(moments(dice, world.workload.jobs // 2, 1)[0])
        victim, runs = self._with_a_long_run(world)
        victim.signal_all(signal.SIGSTOP)
        try:
            # On again while a successor is at work, so that only the fence stands between the two.
            world.wait_for(lambda: bool(self._taken_over(world, runs)), 180)
            self._late = {run: starts(world.experiment, run)[0][0] for run in self._taken_over(world, runs)}
        finally:
            victim.signal_all(signal.SIGCONT)
        world.wait_for(lambda: len(self._refused(world)) == len(self._late), _LATE_SECONDS)

    def _refused(self, world: World) -> list[str]:
        """The runs whose first attempt, the one that was stopped, tried to commit and was refused."""
        return [run for run, attempt in self._late.items() if (1, attempt) in refused_commits(world.experiment, run)]

    def bound(self, world: World, found: Ledger) -> Bound:
        refused = self._refused(world)
        kept = [run for run in refused if found.attempts.get(run, 0) > self._late[run]]
        figure = f"{len(refused)} of {len(self._late)} late commits seen refused, {len(kept)} successors' results stand"
        return Bound(holds=bool(self._late) and len(kept) == len(self._late), figure=figure)

    def _with_a_long_run(self, world: World) -> tuple[Process, list[str]]:
        def look() -> tuple[Process, list[str]] | None:
            for worker in world.workers:
                runs = [run for run in world.in_hand(worker).values() if self._is_long(world, run)]
                if runs:
                    return worker, runs
            return None

        return look_for(world, look)

    def _is_long(self, world: World, run: str) -> bool:
        return world.workload.is_long(int(run.partition("_")[2]))

    def _taken_over(self, world: World, runs: list[str]) -> list[str]:
        return [run for run in runs if len(starts(world.experiment, run)) > 1]


class RollingRestart(Fault):
    number = 21
    name = "rolling SIGTERM of all workers, twice"
    also = "at most 1 attempt lost per slot"

    def harm(self, world: World, dice: random.Random) -> None:
        """Once in the second fifth of the work and once in the third, so that there is work that could be lost."""
        self._ends: list[int | None] = []
        self._lost: list[int] = []
        self._hit: list[int] = []
        fifth = world.workload.jobs // 5
        for part in (1, 2):
            world.reach(dice.randrange(part * fifth, (part + 1) * fifth))
            for index in range(WORKERS):
                self._replace(world, index)

    def _replace(self, world: World, index: int) -> None:
        """Have a worker end, keep how it did, and start its successor; the next one leaves when that answers."""
        leaving = world.workers[index]
        world.wait_for(lambda: bool(world.in_hand(leaving)) or world.coordinator.exit_code is not None)
        held = set(world.in_hand(leaving).values())
        world.leaving.append(leaving)
        self._hit.append(len(held))
        leaving.signal(signal.SIGTERM)

        def ended() -> bool:
            held.update(world.in_hand(leaving).values())  # one may be taken while it hears of its end
            return leaving.exit_code is not None

        world.wait_for(ended, LEAVE_SECONDS)
        self._ends.append(leaving.exit_code)
        self._lost.append(sum(not is_committed(world.experiment, run) for run in held))
        leaving.end_by_force()
        world.restart_worker(index)
        if not world.wait_for(lambda: len(world.answering()) >= WORKERS, READY_SECONDS):
            raise Unavailable(f"{leaving.name} was started again and does not answer.")

    def bound(self, world: World, found: Ledger) -> Bound:
        """Each ended well by itself, had work in hand when it was told, and lost no more of it than it has slots."""
        well = sum(code == 0 for code in self._ends)
        again = sum(attempt - 1 for attempt in found.attempts.values())
        few = max(self._lost) <= SLOTS and again <= 2 * WORKERS * SLOTS
        figure = (
            f"{well} of {len(self._ends)} ended by themselves within {LEAVE_SECONDS:.0f} s; "
            f"{sum(self._hit)} runs in hand, {sum(self._lost)} lost, {again} attempts more"
        )
        return Bound(holds=well == len(self._ends) == 2 * WORKERS and all(self._hit) and few, figure=figure)
