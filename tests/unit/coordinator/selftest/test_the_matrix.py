"""The numbers of the matrix. Who changes one of them changes what the page promises."""

import inspect
import random
import re
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from coordinator import dispatch
from coordinator.cli.selftest import selftest
from coordinator.selftest import left, results, suite, world
from coordinator.selftest.calls import Request, _suite
from coordinator.selftest.faults import FAULTS, base, delivery, soak
from coordinator.selftest.workload import Workload
from shared import leases

DEFAULTS = {"jobs": 300, "seconds": 10.0, "sandbox": "docker", "soak_minutes": 30.0, "seeds": 3, "rows": None}
REPETITIONS = {1: 20, 2: 20, 4: 5, 6: 30}
"""Row -> how often it does what it does."""


class Asked(Exception):
    """A fault has asked how often it is to be done."""


def test_the_matrix_is_what_it_was_agreed_to_be() -> None:
    assert (world.WORKERS, world.SLOTS) == (2, 2)
    assert leases.LEASE_SECONDS == base.LEASE_SECONDS
    assert leases.LEASE_SECONDS + 15 == base.RESTART_SECONDS
    assert base.CONSUMING_SECONDS == 60
    assert delivery.ATTEMPTS == 3 == 1 + len(dispatch.RETRY_DELAYS)
    assert (delivery.TIMES, delivery.VISIBILITY) == (3, 5)
    assert suite.STRAY_SECONDS == left.OUTLIVES_SECONDS == 60
    assert (soak.EVERY_SECONDS, soak._GROWTH, soak.Soak.minutes) == (10, 0.10, 30)
    assert soak.Soak().adapt(Workload()).jobs == 2000


def test_the_command_runs_the_matrix_where_nothing_else_is_asked_for(tmp_path: Path) -> None:
    parameters = inspect.signature(selftest).parameters
    assert {name: parameters[name].default for name in DEFAULTS} == DEFAULTS
    assert Request(**DEFAULTS) == Request()  # type: ignore[arg-type]
    made = _suite(Request(), tmp_path, print)
    assert made._workload == Workload(jobs=300, long=30, seconds=10.0, sandbox="docker")
    assert sum(made._workload.is_long(index) for index in range(300)) == 30
    assert made._soak_minutes == 30


def test_the_page_counts_the_matrix_alone() -> None:
    asked = (results.JOBS, results.LONG_SECONDS, results.SOAK_MINUTES, results.SEEDS)
    assert asked == tuple(DEFAULTS[name] for name in ("jobs", "seconds", "soak_minutes", "seeds"))


@pytest.mark.parametrize(("number", "times"), REPETITIONS.items())
def test_a_fault_is_done_as_often_as_the_matrix_has_it(
    number: int, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def share(self: Workload, of: int, least: int = 2) -> int:
        asked.append(of)
        raise Asked

    assert Workload().share(times) == times
    monkeypatch.setattr(Workload, "share", share)
    with pytest.raises(Asked):
        FAULTS[number]().harm(MagicMock(workload=Workload()), random.Random(0))
    assert asked == [times]


def test_the_names_of_rows_say_how_often_and_how_long() -> None:
    told = {number: re.findall(r"\d[\d,]*", kind.name) for number, kind in FAULTS.items()}
    assert [told[number] for number in (1, 2, 4, 6, 7)] == [["20"], ["20"], ["5"], ["2", "60"], ["60"]]
    assert [told[number] for number in (8, 11, 13, 14, 15, 17)] == [["10"], ["5"], ["30"], ["3"], ["10"], ["30"]]
    assert told[22] == ["30", "2,000", "10"]
