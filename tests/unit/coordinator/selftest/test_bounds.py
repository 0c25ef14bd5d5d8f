"""The bounds of rows break for each thing that must not be."""

import random
from collections import Counter
from typing import Any, cast

import pytest

from coordinator.selftest.faults import provider
from coordinator.selftest.faults.provider import BadProvider
from coordinator.selftest.faults.soak import Soak
from coordinator.selftest.faults.workers import RollingRestart
from coordinator.selftest.memory import Memory
from coordinator.selftest.scripted import DECK, ScriptedProvider
from coordinator.selftest.workload import Workload
from coordinator.selftest.world import World
from tests.unit.coordinator.selftest.conftest import ledger


class Place:
    """What of a world the bounds look at."""

    workload = Workload(jobs=40)


HERE = cast(World, Place())


def rolled(**changes: Any) -> RollingRestart:
    fault = RollingRestart()
    fault.__dict__.update({"_ends": [0] * 4, "_lost": [0, 2, 0, 0], "_hit": [2, 2, 2, 1]} | changes)
    return fault


def test_a_rolling_restart_that_loses_few() -> None:
    bound = rolled().bound(HERE, ledger())
    assert bound.holds
    assert bound.figure.startswith("4 of 4 ended by themselves within 90 s; 7 runs in hand, 2 lost")


@pytest.mark.parametrize(
    "changes",
    [
        {"_ends": [0, 0, None, 0]},
        {"_ends": [0, 0, -15, 0]},
        {"_ends": [0, 0]},
        {"_lost": [0, 3, 0, 0]},
        {"_hit": [2, 2, 2, 0]},
    ],
)
def test_a_rolling_restart_that_is_none(changes: dict[str, Any]) -> None:
    assert not rolled(**changes).bound(HERE, ledger()).holds


def test_a_rolling_restart_that_loses_many() -> None:
    assert not rolled().bound(HERE, ledger(attempts={"valid_0": 5, "valid_1": 6})).holds


def soaked(made: int = 20, share: float = 1.0, keys: tuple[int, int] = (10, 12), grown: float | None = 0.01) -> Soak:
    fault = Soak()
    fault.minutes = 4.0
    memory = Memory()
    memory.growth = lambda least: grown  # type: ignore[method-assign]
    seen = {"_keys": [(0.1, keys[0]), (0.9, keys[1])], "_made": Counter(flush=made), "_share": share, "_memory": memory}
    fault.__dict__.update(seen)
    return fault


def test_a_soak_that_lasted() -> None:
    bound = soaked().bound(HERE, ledger())
    assert bound.holds
    assert bound.figure == "4 min, 20 faults of 1 kinds; memory +1%; at most 12 keys"


@pytest.mark.parametrize(
    "changes", [{"made": 14}, {"share": 0.99}, {"keys": (10, 116)}, {"grown": 0.1}, {"grown": None}]
)
def test_a_soak_that_proves_nothing(changes: dict[str, Any]) -> None:
    assert not soaked(**changes).bound(HERE, ledger()).holds


def test_the_provider_does_all_that_it_may_in_thirty_calls() -> None:
    scripted = ScriptedProvider()
    try:
        assert [scripted._mood() for _ in range(3)] == ["answer"] * 3
        scripted.misbehave(random.Random(1))
        assert Counter(scripted._mood() for _ in range(30)) == DECK
    finally:
        scripted.close()


def badly_served(monkeypatch: pytest.MonkeyPatch, recorded: int = 70, **changes: Any) -> BadProvider:
    monkeypatch.setattr(provider, "_recorded", lambda world: recorded)
    fault = BadProvider()
    fault.adapt(Workload(jobs=40))
    fault._provider.close()
    fault._provider.calls.update({"answer": 55, "refuse": 6, "fail": 6, "hang": 2} | changes.pop("calls", {}))
    halfway = {"_small": 20, "_spent": 20, "_asked": 20, "_end": 0, "_halfway": 14, "_large": 180}
    fault.__dict__.update(halfway | {"_kills": 2, "_wanted": 2} | changes)
    return fault


def test_a_budget_that_bound_and_was_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = badly_served(monkeypatch).bound(HERE, ledger())
    assert bound.holds
    assert bound.figure.startswith("20 calls arrived of 20 allowed, 69 in all of 70 recorded: 55 answered, 6 x 429")


@pytest.mark.parametrize(
    "changes",
    [
        {"_asked": 21},
        {"_spent": 19},
        {"_end": 1},
        {"_halfway": 40},
        {"_kills": 1},
        {"recorded": 68},
        {"recorded": 181},
        {"calls": {"hang": 0}},
    ],
)
def test_a_budget_that_did_not_bind_or_was_not_kept(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    assert not badly_served(monkeypatch, **changes).bound(HERE, ledger()).holds
