"""Faults of Redis, and of the way to it."""

import math
import random
import time

from coordinator.selftest.faults.base import Consuming, Fault, Stalls, look_for, moments
from coordinator.selftest.results import Bound
from coordinator.selftest.witness import Ledger, is_committed
from coordinator.selftest.workload import Workload
from coordinator.selftest.world import World, run_of_message
from shared.queue import job_queue
from shared.volume import volume_id

_LAST_HEARD = 2.0
"""Seconds in which a worker that has just been made deaf starts what it had heard of before."""
_FLUSH = """
local waiting = redis.call('LRANGE', KEYS[1], 0, -1)
if #waiting > 0 then redis.call('FLUSHALL') end
return waiting
"""
"""In one step, so that what waited is what was lost: nobody takes a message between the look and the flush."""


class KilledRedis(Fault):
    number = 4
    name = "5 x Redis SIGKILL and restart (AOF)"
    also = "all consuming again within 60 s"

    def harm(self, world: World, dice: random.Random) -> None:
        self._consuming = Consuming(world)
        times = world.workload.share(5)
        for moment in moments(dice, int(world.workload.jobs * 0.8), times):
            world.reach(moment)
            world.redis.kill()
            world.pause(dice.uniform(0.0, 3.0))
            world.redis.start()
            self._consuming.again()

    def bound(self, world: World, found: Ledger) -> Bound:
        return self._consuming.bound()


class Flushed(Fault):
    number = 5
    name = "Redis FLUSHALL in the middle"
    also = "everything missing is enqueued again"

    def harm(self, world: World, dice: random.Random) -> None:
        world.reach(dice.randrange(world.workload.jobs // 4, world.workload.jobs // 2))
        self._stalls = Stalls(world)
        self._missing = look_for(world, lambda: self._flush(world))
        self._since = time.monotonic()
        self._stalls.note(self._missing)

    def _flush(self, world: World) -> list[str]:
        """The runs whose messages were lost: nothing is done where none waits."""
        queue = job_queue(volume_id(world.data_dir), world.workload.sandbox)
        runs = {run_of_message(message) for message in world.redis.client().eval(_FLUSH, 1, queue)}
        return sorted(run for run in runs if run and not is_committed(world.experiment, run))

    def bound(self, world: World, found: Ledger) -> Bound:
        """Each run whose message was lost was started after that."""
        again = self._stalls.bound(limit=math.inf)
        pause = world.watch.longest_pause(self._since, time.monotonic())
        figure = f"{len(self._missing)} messages lost: {again.figure}; longest pause {pause:.0f} s"
        return Bound(holds=bool(self._missing) and again.holds, figure=figure)


class ClosedConnections(Fault):
    number = 6
    name = "CLIENT KILL of all connections every 2 s for 60 s"
    also = "no deaf worker after 60 s"

    def adapt(self, workload: Workload) -> Workload:
        # Jobs must still wait when all is over, or nobody could tell who hears of them.
        return workload.model_copy(update={"long": 2 * workload.long, "seconds": max(workload.seconds, 10.0)})

    def set_up(self, world: World) -> None:
        self._marker = world.folder / "deaf"
        world.changes = (f"deaf={self._marker}",)

    def harm(self, world: World, dice: random.Random) -> None:
        self._consuming = Consuming(world)
        self._closed: list[int] = []
        world.reach(world.workload.jobs // 30)
        for _ in range(world.workload.share(30)):
            self._closed.append(self._close_all(world))
            world.pause(2.0)
        self._marker.touch()  # what only happens now and then is made to happen: one worker hears nothing from here on
        self._deaf = world.wait_for(lambda: not self._marker.exists(), 30)
        world.pause(_LAST_HEARD)
        self._consuming.again()

    def _close_all(self, world: World) -> int:
        """How many connections Redis says that it has closed."""
        client = world.redis.client()
        try:
            kinds = ("normal", "pubsub")
            return sum(int(client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")) for kind in kinds)
        finally:
            client.close()

    def bound(self, world: World, found: Ledger) -> Bound:
        heard = self._consuming.bound()
        deaf = "one made deaf" if self._deaf else "none made deaf"
        figure = f"{sum(self._closed)} connections closed, {deaf}; {heard.figure}"
        return Bound(holds=heard.holds and self._deaf and all(self._closed), figure=figure)


class FrozenRedis(Fault):
    number = 7
    name = "Redis SIGSTOP for 60 s"
    also = "nothing crashes"

    def harm(self, world: World, dice: random.Random) -> None:
        world.reach(dice.randrange(world.workload.jobs // 8, world.workload.jobs // 2))
        self._before = self._processes(world)
        world.redis.hang(True)
        try:
            world.pause(world.workload.share(60, least=8))
            self._hung = not world.redis.answers()
        finally:
            world.redis.hang(False)

    def _processes(self, world: World) -> set[int]:
        """The workers and the processes of their pools."""
        return {pid for worker in world.workers for pid in (worker.pid, *worker.children())}

    def bound(self, world: World, found: Ledger) -> Bound:
        gone = self._before - self._processes(world)
        figure = ", ".join(world.deaths) or f"{len(gone)} of {len(self._before)} processes of workers ended"
        if not self._hung:
            figure += ", Redis answered all the while"
        return Bound(holds=self._hung and not world.deaths and not gone, figure=figure)
