"""Ledgers and rows made by hand."""

from typing import Any

import pytest

from coordinator.selftest.results import Bound, RowResult, SeedRun
from coordinator.selftest.version import row_digest
from coordinator.selftest.witness import Ledger


def ledger(runs: int = 4, **changes: Any) -> Ledger:
    """What a whole experiment of so many runs came to."""
    names = [f"valid_{index}" for index in range(runs)]
    whole: dict[str, Any] = {
        "results": {name: {"example_id": name, "status": "ok", "score": 1.0, "output": name} for name in names},
        "attempts": dict.fromkeys(names, 1),
        "quarantined": (),
        "scoring": {"scores_0.json": "a", "details_0.json": "b"},
        "counted": runs,
        "torn": (),
        "temporary": (),
    }
    return Ledger.model_validate(whole | changes)


def row(number: int = 9, **changes: Any) -> RowResult:
    """A row that passed with two seeds, made with the selftest as it is."""
    bound = Bound(holds=True, figure="2 of 2 refused")
    whole: dict[str, Any] = {
        "number": number,
        "fault": "two coordinators",
        "also": "one is refused",
        "code": "now",
        "suite": row_digest(number),
        "jobs": 300,
        "sandbox": "docker",
        "runs": tuple(SeedRun(seed=seed, bound=bound, seconds=1.0) for seed in range(2)),
    }
    return RowResult.model_validate(whole | changes)


@pytest.fixture
def quiet() -> Ledger:
    return ledger()
