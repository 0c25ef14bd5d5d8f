"""How the memory of long-lived processes grows: of each of them, and of each pool as a whole."""

from collections.abc import Callable, Mapping
from statistics import median

from coordinator.selftest.processes import children_of, resident_mib
from coordinator.selftest.world import SLOTS

_LEAST = 3
"""Looks at a process below which nothing can be said of it."""


class Memory:
    """Looks now and then, and compares the first looks at a process with the last ones.

    A process that was replaced counts from its own beginning; a pool is looked at where it is as it was the last time.
    """

    def __init__(self, resident: Callable[[int], float] = resident_mib) -> None:
        self._resident = resident
        self._pools: dict[str, list[int]] = {}
        self._looks: dict[str, tuple[int, list[float]]] = {}

    def look(self, alone: Mapping[str, int], with_pools: Mapping[str, int]) -> None:
        """Measure processes (name -> pid), and those that have a pool, with that beside them."""
        for name, pid in {**alone, **with_pools}.items():
            self._note(name, pid, self._resident(pid))
        for name, pid in with_pools.items():
            children = children_of(pid)
            sizes = [self._resident(child) for child in children]
            settled = self._pools.get(name) == children  # one may just have been killed, and another be new
            if settled and sum(one > 0 for one in sizes) == SLOTS:
                self._note(f"pool of {name}", pid, sum(sizes))
            self._pools[name] = children

    def _note(self, name: str, pid: int, mib: float) -> None:
        known, looks = self._looks.get(name, (pid, []))
        if mib > 0:
            self._looks[name] = (pid, [*looks, mib] if known == pid else [mib])

    def growth(self, least: int) -> float | None:
        """The largest growth, as a share; None where not so many were measured, or one of them too seldom."""
        looks = [found for _, found in self._looks.values()]
        if len(looks) < least or any(len(found) < _LEAST for found in looks):
            return None
        return max(_grown(found) for found in looks)


def _grown(looks: list[float]) -> float:
    third = max(len(looks) // 3, 1)
    return median(looks[-third:]) / median(looks[:third]) - 1
