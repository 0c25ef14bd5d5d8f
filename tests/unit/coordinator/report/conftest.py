"""Small plans, results and receipts."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from shared.models import Example, Job, Plan, Receipt, Status, Usage

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def make_plan() -> Callable[..., Plan]:
    """A plan of ``scaffolds`` on ``examples`` examples of each of ``splits``."""

    def make(scaffolds: tuple[str, ...] = ("0", "1"), examples: int = 4, splits: tuple[str, ...] = ("valid",)) -> Plan:
        runs = {
            f"{split}_{index}": Example(id=str(index), input="2+2") for split in splits for index in range(examples)
        }
        return Plan(experiment="demo_1", iteration=0, runs=runs, assigned=dict.fromkeys(splits, scaffolds))

    return make


@pytest.fixture
def make_job() -> Callable[..., Job]:
    """A job of that plan."""

    def make(scaffold_id: str = "0", run_type: str = "valid_0") -> Job:
        return Job(experiment="demo_1", iteration=0, scaffold_id=scaffold_id, run_type=run_type)

    return make


@pytest.fixture
def make_receipt() -> Callable[..., Receipt]:
    """A receipt of two seconds and 15 tokens."""

    def make(status: Status = Status.OK, score: float | None = 1.0, **fields: object) -> Receipt:
        values = {"seconds": 2.0, "worker": "w", "usage": Usage(calls=1, input_tokens=10, output_tokens=5), **fields}
        return Receipt(status=status, score=score if status.counts else None, **values)

    return make
