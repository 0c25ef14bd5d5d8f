"""Everything again and again, for half an hour."""

import random
import time
from collections import Counter
from contextlib import suppress

from coordinator.selftest.faults.base import Fault
from coordinator.selftest.faults.strikes import DEADLY, QUICK, SLOW, Strike
from coordinator.selftest.memory import Memory
from coordinator.selftest.results import Bound
from coordinator.selftest.witness import Ledger
from coordinator.selftest.workload import Workload
from coordinator.selftest.world import SLOTS, WORKERS, World

EVERY_SECONDS = 10.0
FLOOR = 0.6
"""The share of one strike every ten seconds that must have been made: some take longer than that."""
SPARE = 1.1
"""How much longer the sleep of the long runs alone keeps all slots busy than the soak lasts."""
_DEADLY = 0.3
"""The share of the time after which processes are left alive, so that their memory can be watched."""
_WARM = 0.4
"""The share of the time from which that is looked at."""
_GROWTH = 0.10


class Soak(Fault):
    number = 22
    name = "soak: 30 min, 2,000 jobs, a random fault of the above every 10 s"
    also = "memory growth under 10%; Redis keys bounded"
    minutes = 30.0

    def adapt(self, workload: Workload) -> Workload:
        """Long runs whose sleep, shared out among the slots, lasts longer than the soak whatever else is done."""
        whole = workload.jobs >= 300
        jobs = round(2000 * self.minutes / 30) if whole else workload.jobs
        long = jobs // 5 if whole else jobs // 2
        seconds = round(SPARE * self.minutes * 60 * WORKERS * SLOTS / long, 1)
        return workload.model_copy(
            update={
                "jobs": jobs,
                "long": long,
                "seconds": seconds,
                "timeout": seconds + workload.timeout,
            }
        )

    def quiet(self, workload: Workload) -> Workload:
        """Without what is no part of the answers: how long a run sleeps."""
        return workload.model_copy(update={"long": 0})

    def harm(self, world: World, dice: random.Random) -> None:
        world.reach(1)  # one that still starts may say that there is no broker, and end
        began = time.monotonic()
        self._keys: list[tuple[float, int]] = []
        self._made: Counter[str] = Counter()
        self._memory = Memory()
        self._share = 0.0
        deck: list[Strike] = []
        while self._share < 1 and world.coordinator.exit_code is None:
            turn = time.monotonic()
            deck = self._strike(world, dice, deck)
            self._look(world)
            world.pause(max(EVERY_SECONDS - (time.monotonic() - turn), 0.5))
            self._share = (time.monotonic() - began) / (60 * self.minutes)

    def _strike(self, world: World, dice: random.Random, deck: list[Strike]) -> list[Strike]:
        """Make one strike, the first of the deck that there is something for; what is left of the deck.

        A new deck has the quick kinds more often than the slow ones, which would else take up most of the time.
        """
        for _ in range(len(QUICK) + len(SLOW) + len(DEADLY)):
            if not deck:
                deck = [*QUICK, *QUICK, *SLOW, *DEADLY]
                dice.shuffle(deck)
            strike = deck.pop()
            if strike in DEADLY and self._share >= _DEADLY:
                continue
            if world.coordinator.exit_code is None and strike(world, dice):
                self._made[strike.__name__] += 1
                break
        return deck

    def _look(self, world: World) -> None:
        with suppress(Exception):  # Redis may be away just now
            self._keys.append((self._share, int(world.redis.client().dbsize())))
        if self._share >= _WARM:
            self._memory.look({"coordinator": world.coordinator.pid}, {one.name: one.pid for one in world.workers})

    def bound(self, world: World, found: Ledger) -> Bound:
        """It lasted, enough was done, and memory and keys, both measured early and late, have not grown."""
        early = max((keys for share, keys in self._keys if share < 0.5), default=None)
        late = max((keys for share, keys in self._keys if share >= 0.5), default=None)
        bounded = early is not None and late is not None and late <= 1.5 * early + 100
        made, grown = self._made.total(), self._memory.growth(1 + 2 * WORKERS)
        kept = grown is not None and grown < _GROWTH
        enough = self._share >= 1 and made >= FLOOR * self.minutes * 60 / EVERY_SECONDS
        figure = (
            f"{min(self._share, 1.0) * self.minutes:.0f} min, {made} faults of {len(self._made)} kinds; "
            f"memory {'not measured' if grown is None else f'{grown:+.0%}'}; at most {max(early or 0, late or 0)} keys"
        )
        return Bound(holds=enough and kept and bounded, figure=figure)
