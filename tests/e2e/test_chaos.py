"""A third of the selftest's matrix, small: what is broken is broken for real, and every run counts once.

The whole matrix, with 300 jobs and three seeds, is `make chaos`. Rows mostly wait, so some are under way at once.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from coordinator.selftest.faults.soak import Soak
from coordinator.selftest.results import RowResult
from coordinator.selftest.suite import Suite, a_suite_folder
from coordinator.selftest.workload import Workload
from tests.conftest import ROOT

SMALL = Workload(jobs=24, long=4, seconds=3.0, sandbox="process")
ROWS = (3, 2, 5, 9, 10, 12)
AT_ONCE = 3
pytestmark = [pytest.mark.redis]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch, a_suite_folder(keep=False, say=print) as made:
        patch.setenv("PYTHONPATH", str(ROOT))
        yield made


@pytest.fixture(scope="module")
def rows(folder: Path) -> Iterator[dict[str, "Future[RowResult]"]]:
    """The rows without containers, some under way at once, after the fault-free run that all are compared with.

    ``cap``: the row of the poison job, without the cap on tries.
    """
    suite = Suite(folder, SMALL, print, limit=240)
    suite.quiet(SMALL, 240)
    capless = Suite(folder, SMALL.model_copy(update={"jobs": 20, "long": 2}), print, limit=240, mutation="cap")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        under_way = {str(number): pool.submit(suite.row, number, [0]) for number in ROWS}
        yield under_way | {"cap": pool.submit(capless.row, 12, [0])}


@pytest.mark.parametrize("number", ROWS)
def test_every_run_counts_once(rows: dict[str, "Future[RowResult]"], number: int) -> None:
    (run,) = rows[str(number)].result().runs
    assert run.problems == ()


@pytest.mark.docker
def test_every_run_counts_once_where_containers_are_killed(folder: Path, sandbox_image: str) -> None:
    suite = Suite(folder, SMALL.model_copy(update={"jobs": 16, "sandbox": "docker"}), print, limit=240)
    (run,) = suite.row(15, [0]).runs
    assert run.problems == ()


@pytest.mark.docker
def test_the_soak_is_compared_with_a_run_that_comes_to_the_same(folder: Path, sandbox_image: str) -> None:
    suite = Suite(folder, SMALL, print, limit=240)
    soaked = SMALL.model_copy(update={"jobs": 8, "long": 2, "seconds": 0.5, "sandbox": "docker"})
    assert suite.quiet(Soak().quiet(soaked), 240).scoring == suite.quiet(soaked, 240).scoring


def test_the_selftest_notices_where_a_mechanism_is_off(rows: dict[str, "Future[RowResult]"]) -> None:
    """Without the cap on tries, the poison job is tried a fourth time."""
    (run,) = rows["cap"].result().runs
    assert any("4 kills" in problem for problem in run.problems), run.problems


def test_a_machine_that_is_too_slow_for_the_fault_free_run_ends_no_other_row(folder: Path) -> None:
    (run,) = Suite(folder, SMALL, print, limit=1.0).row(9, [0]).runs
    assert not run.passed
    assert run.problems == ("The fault-free run of 24 jobs took longer than 1 s: a busy machine?",)
