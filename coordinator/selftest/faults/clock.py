"""The clock of a host, moved."""

import random
import time
from pathlib import Path

from coordinator.selftest.faults.base import Fault, moments
from coordinator.selftest.needs import faketime_library, malloc_library
from coordinator.selftest.results import Bound
from coordinator.selftest.witness import Ledger, starts
from coordinator.selftest.world import World

_HOUR = 3600
_CLOSE = 60.0
"""Seconds by which a clock that was moved may seem to be off: a message was taken some time before it is looked at."""
_SEEN_SECONDS = 15.0


class MovedClock(Fault):
    number = 18
    name = "clock moved by an hour, both ways"
    also = "no lease lost for it"
    needs = ("faketime",)

    def set_up(self, world: World) -> None:
        self._clock = world.folder / "clock"
        self._move("+0")
        world.changes = (f"clock={self._clock}",)
        world.redis_environment.update(
            FAKETIME_TIMESTAMP_FILE=str(self._clock),
            FAKETIME_CACHE_DURATION="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
            # Redis may be linked with jemalloc, which asks for the time before it can give the library its memory.
            LD_PRELOAD=f"{malloc_library()}:{faketime_library()}",
        )

    def harm(self, world: World, dice: random.Random) -> None:
        self._seen: list[tuple[float, float]] = []
        for moment, offset in zip(moments(dice, world.workload.jobs, 2), (_HOUR, -_HOUR), strict=True):
            world.reach(moment)
            self._move(f"{offset:+d}")
            self._seen.append(self._await(world, offset))

    def _await(self, world: World, offset: float) -> tuple[float, float]:
        """How far Redis's clock is ahead of the machine's, and a worker's: once that is the offset, or late."""
        found = (0.0, 0.0)

        def there() -> bool:
            nonlocal found
            found = (self._of_redis(world), self._of_workers(world, offset))
            return all(is_about(skew, offset) for skew in found)

        world.wait_for(there, _SEEN_SECONDS)
        return found

    def _of_redis(self, world: World) -> float:
        seconds, micros = world.redis.client().time()
        return float(seconds) + float(micros) / 1e6 - time.time()

    def _of_workers(self, world: World, offset: float) -> float:
        """By when they say that they took the messages that they have in hand: of these times the likeliest."""
        taken = world.redis.client().zrange("unacked_index", 0, -1, withscores=True)
        skews = [float(score) - time.time() for _, score in taken]
        return min(skews, key=lambda skew: abs(skew - offset), default=0.0)

    def bound(self, world: World, found: Ledger) -> Bound:
        again = [run for run in world.workload.run_types if len(starts(world.experiment, run)) > 1]
        wanted = zip(self._seen, (_HOUR, -_HOUR), strict=True)
        moved = all(is_about(skew, offset) for skews, offset in wanted for skew in skews)
        redis, workers = (" and ".join(f"{round(one, -2):+.0f}" for one in of) for of in zip(*self._seen, strict=True))
        figure = f"Redis {redis} s, workers {workers} s; {len(again)} runs started anew"
        return Bound(holds=moved and not again, figure=figure)

    def _move(self, offset: str) -> None:
        """Move the clock of every process of the world, in one step."""
        new = self._clock.with_suffix(".new")
        new.write_text(offset + "\n")
        Path(new).replace(self._clock)


def is_about(skew: float, offset: float) -> bool:
    """Whether a clock is off by what it was moved."""
    return abs(skew - offset) < _CLOSE
