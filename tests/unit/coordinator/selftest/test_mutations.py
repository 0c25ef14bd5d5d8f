"""A mechanism that is off is noticed by the symptom of its lack, and by nothing else."""

import pytest

from coordinator.selftest.faults import FAULTS
from coordinator.selftest.mutations import MUTATIONS
from coordinator.selftest.results import Bound, SeedRun
from tests.unit.coordinator.selftest.conftest import row


def run(figure: str = "not measured", holds: bool = False, doubled: int = 0) -> SeedRun:
    return SeedRun(
        seed=0, doubled=doubled, bound=Bound(holds=holds, figure=figure), problems=("The row took longer than it may.",)
    )


SYMPTOMS = [
    ("fence", run("1 of 2 late commits seen refused")),
    ("fence", run("0 of 2 late commits seen refused")),
    ("link", run("300 commits of 600 starts", holds=True, doubled=3)),
    ("cap", run("4 kills, 0 in quarantine, 40 finished")),
    ("watchdog", run("at most 60 s")),
    ("lock", run("1 of 2 refused")),
]
OTHER = [
    ("fence", run("0 of 0 late commits seen refused")),
    ("fence", run("2 of 2 late commits seen refused")),
    ("link", run("299 commits of 600 starts")),
    ("cap", run("3 kills, 0 in quarantine, 40 finished")),
    ("cap", run("4 kills, 1 in quarantine, 39 finished", holds=True)),
    ("watchdog", run("at most 59 s")),
    ("lock", run("2 of 2 refused")),
    ("lock", run("0 of 0 refused")),
]


@pytest.mark.parametrize(("name", "seen"), SYMPTOMS)
def test_the_symptom_is_noticed(name: str, seen: SeedRun) -> None:
    assert MUTATIONS[name].noticed(row(runs=(run(), seen)))


@pytest.mark.parametrize(("name", "seen"), [*OTHER, *((name, run()) for name in MUTATIONS)])
def test_another_failure_is_not_the_symptom(name: str, seen: SeedRun) -> None:
    assert not MUTATIONS[name].noticed(row(runs=(seen,)))
    assert not MUTATIONS[name].noticed(row(runs=(), not_run="it is cold"))


def test_all_rows_of_a_mutation_must_notice() -> None:
    watchdog = MUTATIONS["watchdog"].model_copy(update={"rows": (4, 6)})
    deaf, well = row(4, runs=(run("at most 60 s"),)), row(6)
    assert watchdog.missed([deaf, well]) == [6]
    assert watchdog.missed([deaf]) == [6]
    assert watchdog.missed([deaf], wanted=[4]) == []
    assert watchdog.missed([deaf, row(6, runs=deaf.runs)]) == []


def test_a_deaf_worker_is_looked_for_where_one_is_made_deaf() -> None:
    assert MUTATIONS["watchdog"].rows == (6,)


def test_the_rows_of_the_mutations_are_rows() -> None:
    assert all(mutation.rows and set(mutation.rows) <= set(FAULTS) for mutation in MUTATIONS.values())
