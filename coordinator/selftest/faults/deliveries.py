"""Which messages Redis delivers to whom, and how often: told by Redis itself, command by command."""

import re
import threading
from collections import Counter
from contextlib import suppress
from typing import Any

from coordinator.selftest.world import World

_TAKEN = re.compile(r'^HSET unacked .*?"id": "([^"]+)"')
"""How a worker notes that it has taken a message, and has not answered it yet."""
_TICK = 0.05


class Deliveries(threading.Thread):
    """Listens from before the first worker is there to the end. It must be started before its world is."""

    def __init__(self, world: World) -> None:
        super().__init__(name="deliveries", daemon=True)
        self._world = world
        self._monitor: Any = None
        self._ended = threading.Event()
        self.counts: Counter[str] = Counter()
        """Task id -> how often its message was taken."""
        world.stack.callback(self.end)

    def run(self) -> None:
        while not hasattr(self._world, "redis"):
            if self._ended.wait(_TICK):
                return
        with suppress(Exception), self._world.redis.client(3600.0).monitor() as self._monitor:
            while not self._ended.is_set():  # or until Redis ends
                self.note(self._monitor.next_command()["command"])

    def note(self, command: str) -> None:
        """Count it if it is a delivery."""
        found = _TAKEN.match(command)
        if found:
            self.counts[found[1]] += 1

    def of(self, run_types: tuple[str, ...]) -> list[int]:
        """How often the message of each run's first attempt was taken."""
        first = {task_id.rpartition(".")[2]: count for task_id, count in self.counts.items()}
        return [first.get(run_type, 0) for run_type in run_types]

    @property
    def total(self) -> int:
        """Deliveries of all messages."""
        return sum(self.counts.values())

    @property
    def again(self) -> int:
        """Deliveries beyond the first of a message."""
        return self.total - len(self.counts)

    def end(self) -> None:
        """Listen no more."""
        self._ended.set()
        if self._monitor is not None:
            with suppress(Exception):
                self._monitor.connection.disconnect()
