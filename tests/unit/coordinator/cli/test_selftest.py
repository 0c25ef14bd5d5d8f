"""``selftest`` on the command line; what it does to worlds is shown by tests/e2e/test_chaos.py."""

from pathlib import Path

import pytest

from coordinator.selftest import calls
from coordinator.selftest.results import Bound, RowResult, SeedRun
from tests.unit.coordinator.selftest.conftest import row


@pytest.fixture
def no_worlds(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Row 9 passes, and any other fails; (row, number of seeds) of each call of the suite."""
    asked: list[tuple[int, int]] = []

    def done(suite: object, number: int, seeds: range) -> RowResult:
        asked.append((number, len(seeds)))
        return row(number) if number == 9 else row(number, runs=(), not_run="it is cold")

    monkeypatch.setattr(calls.Suite, "row", done)
    monkeypatch.setattr(calls, "missing", lambda names: None)
    return asked


def test_the_command_runs_rows_and_says_how_many_passed(invoke, no_worlds: list[tuple[int, int]], home: Path) -> None:
    done = invoke("selftest", "--rows", "9", "--seeds", 2, "--out", "page.md")
    assert (done.exit_code, no_worlds) == (0, [(9, 1), (9, 1)])
    assert "two coordinators" in done.stdout
    assert "1 of 1 rows passed." in done.stderr
    assert (home / "page.md").exists() and (home / "page.json").exists()


def test_a_row_that_did_not_pass_is_exit_code_1(invoke, no_worlds: list[tuple[int, int]]) -> None:
    done = invoke("selftest", "--rows", "8,9", "--json")
    assert done.exit_code == 1
    first, second = done.stdout.splitlines()
    assert '"passed":false' in first.replace(" ", "") and '"passed":true' in second.replace(" ", "")


def test_what_is_missing_is_exit_code_3(invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "missing", lambda names: "there is no redis-server")
    done = invoke("selftest", "--rows", "9")
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr == "The selftest cannot be run here: there is no redis-server.\n"


@pytest.mark.parametrize("words", [("--rows", "99"), ("--mutate", "x"), ("--sandbox", "fake"), ("--jobs", "1")])
def test_what_makes_no_sense_is_exit_code_2(invoke, words: tuple[str, str]) -> None:
    assert invoke("selftest", *words).exit_code == 2


def test_a_mechanism_whose_lack_no_row_notices_is_exit_code_1(invoke, no_worlds: object, monkeypatch) -> None:
    monkeypatch.setattr(calls, "problem", lambda name: None)
    done = invoke("selftest", "--mutate", "lock", "--seeds", 1)
    assert done.exit_code == 1
    assert "without the coordinator's lock: NOT NOTICED by row 9" in done.stderr
    assert invoke("selftest", "--mutate", "lock", "--rows", "1").exit_code == 1
    refused = SeedRun(seed=0, bound=Bound(holds=False, figure="0 of 2 refused"), problems=("0 of 2 refused.",))
    monkeypatch.setattr(calls.Suite, "row", lambda suite, number, seeds: row(number, runs=(refused,)))
    assert invoke("selftest", "--mutate", "lock", "--seeds", 1).exit_code == 0
