"""The tables say what was found, and what was not run."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from coordinator.selftest.book import Book, MutationResult, book_path, change_book, load_book
from coordinator.selftest.faults import FAULTS
from coordinator.selftest.page import cells, mutation_cells, render, terminal_table
from coordinator.selftest.results import Bound, RowResult, SeedRun
from coordinator.selftest.version import row_digest
from shared.errors import CorruptFile
from tests.unit.coordinator.selftest.conftest import row

THREE = tuple(SeedRun(seed=seed, bound=Bound(holds=True, figure="0 s")) for seed in range(3))
FAILED = SeedRun(seed=1, lost=2, bound=Bound(holds=False, figure="90 s"), problems=("2 are lost.",))


def full(number: int = 9, **changes: Any) -> RowResult:
    """A row that passed, run as the matrix has it."""
    return row(number, **{"runs": THREE, "seconds": 10.0, **changes})


def test_every_row_of_the_matrix_is_there() -> None:
    assert sorted(FAULTS) == list(range(1, 23))
    assert all(number == kind.number and kind.name and kind.also for number, kind in FAULTS.items())


def test_a_row_that_passed() -> None:
    assert row().passed
    assert cells(row()) == (
        "9",
        "two coordinators",
        "2 of 2",
        "0",
        "0",
        "0",
        "one is refused",
        "2 of 2 refused",
    )
    assert "two coordinators  2 of 2" in terminal_table([row()])


def test_a_row_that_failed_with_one_seed() -> None:
    failed = row(runs=(*row().runs, FAILED))
    assert not failed.passed
    assert cells(failed)[2:5] == ("2 of 3", "2", "0")
    assert cells(failed)[-1] == "2 of 2 refused; 90 s"


def test_a_row_that_was_not_run_has_not_passed() -> None:
    not_run = row(runs=(), not_run="there is no dockerd")
    assert not not_run.passed
    assert cells(not_run)[2] == "not run"
    assert cells(not_run)[-1] == "there is no dockerd"
    assert not row(runs=()).passed


def test_the_page_counts_only_what_was_run_with_this_code() -> None:
    rows = {
        9: full(),
        10: full(10, code="before"),
        11: full(11, runs=(FAILED,)),
        12: full(12, suite="before"),
    }
    page = render(Book(rows=rows, machine="On a desk."), "now")
    assert "**1 of 22 rows passed**, with 1 to 3 seeds and 300 jobs each. On a desk." in page
    assert page.count("3 of 3 (stale)") == 2
    assert "*Stale*" in page
    assert "- row 11, seed 1: 2 are lost." in page
    assert page.count("it has not been run yet") == 18
    assert "stale" not in render(Book(rows={9: full()}), "now").lower()


def test_the_page_counts_a_row_with_three_seeds_alone() -> None:
    page = render(Book(rows={9: full(runs=THREE[:2]), 10: full(10)}), "now")
    assert "**1 of 22 rows passed**" in page
    assert "2 of 2 (fewer than 3 seeds)" in page
    assert "3 of 3 |" in page


@pytest.mark.parametrize(
    ("found", "remark"),
    [
        (full(jobs=40), "3 of 3 (40 jobs) |"),
        (full(sandbox="process"), "3 of 3 (without containers) |"),
        (full(seconds=2.5), "3 of 3 (long jobs of 2.5 s) |"),
        (full(22, seconds=0.0, minutes=5.0), "3 of 3 (5 minutes) |"),
        (full(22, seconds=0.0, minutes=30.0, jobs=40, sandbox="process"), "3 of 3 (40 jobs, without containers) |"),
        (full(code="before", jobs=40), "3 of 3 (stale, 40 jobs) |"),
    ],
)
def test_a_row_that_was_not_run_in_full_does_not_count_and_says_why(found: RowResult, remark: str) -> None:
    page = render(Book(rows={found.number: found}), "now")
    assert found.passed and "**0 of 22 rows passed**" in page
    assert remark in page


def test_a_soak_counts_by_its_length() -> None:
    assert full(22, seconds=0.0, minutes=30.0).counts
    assert not full(22, seconds=10.0, minutes=5.0).counts


def test_a_mutation_is_noticed_by_its_symptom() -> None:
    made_with = row_digest(9, mutated=True)
    refused = SeedRun(seed=1, bound=Bound(holds=False, figure="0 of 2 refused"), problems=("0 of 2 refused.",))
    red = MutationResult(name="lock", code="now", rows=(row(9, runs=(refused,), suite=made_with),))
    assert mutation_cells("lock", red, "now")[1:] == ("a second coordinator is not refused", "9", "9", "noticed")
    assert mutation_cells("lock", red, "later")[4] == "noticed (stale)"
    other = MutationResult(name="lock", code="now", rows=(row(9, runs=(refused,), suite="before"),))
    assert mutation_cells("lock", other, "now")[4] == "noticed (stale)"
    for rows in ((row(9),), (row(9, runs=(FAILED,)),)):
        green = MutationResult(
            name="lock", code="now", rows=tuple(one.model_copy(update={"suite": made_with}) for one in rows)
        )
        assert mutation_cells("lock", green, "now")[3:] == ("none", "NOT NOTICED by row 9")
    cold = row(9, runs=(), not_run="it is cold", suite=made_with)
    missing = MutationResult(name="lock", code="now", rows=(cold,))
    assert mutation_cells("lock", missing, "now")[3:] == ("none", "NOT NOTICED by row 9 (not run)")
    assert mutation_cells("lock", None, "now")[3:] == ("-", "not run")
    assert mutation_cells("lock", MutationResult(name="lock", code="now", not_run="why"), "now")[3:] == ("-", "why")


def test_rows_of_several_calls_come_together(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    assert load_book(page) == Book()
    change_book(page, lambda book: book.with_row(row(9)), lambda book: f"{len(book.rows)} rows")
    cap = MutationResult(name="cap", code="now")
    change_book(page, lambda book: book.with_row(row(10)).with_mutation(cap), lambda book: f"{len(book.rows)} rows")
    found = load_book(page)
    assert (sorted(found.rows), sorted(found.mutations)) == ([9, 10], ["cap"])
    assert found.rows[9] == row(9)
    assert page.read_text() == "2 rows"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.json", "page.md"]


def test_seeds_of_several_calls_come_together_where_code_and_settings_are_the_same() -> None:
    last = SeedRun(seed=2, bound=Bound(holds=True, figure="later"))
    again = SeedRun(seed=0, bound=Bound(holds=True, figure="again"))
    book = Book().with_row(row(9)).with_row(row(9, runs=(last,))).with_row(row(9, runs=(again,)))
    assert [run.seed for run in book.rows[9].runs] == [0, 1, 2]
    assert book.rows[9].figure == "again; 2 of 2 refused; later"
    for other in (
        row(9, runs=(last,), code="later"),
        row(9, runs=(last,), suite="later"),
        row(9, runs=(last,), jobs=20),
        row(9, runs=(last,), sandbox="process"),
        row(9, runs=(last,), seconds=2.0),
        row(9, runs=(last,), minutes=5.0),
        row(9, runs=(), not_run="why"),
    ):
        assert book.with_row(other).rows[9] == other


def test_calls_side_by_side_lose_none_of_their_rows(tmp_path: Path) -> None:
    page = tmp_path / "page.md"

    def add(number: int) -> None:
        change_book(page, lambda book: book.with_row(row(number)), lambda book: f"{len(book.rows)} rows")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(1, 23)))
    assert sorted(load_book(page).rows) == list(range(1, 23))
    assert page.read_text() == "22 rows"


@pytest.mark.parametrize("text", ["[]", "", '{"rows": {"9": {"number": 9}}}', '{"rows": {"9": {"pages": 9}}}'])
def test_what_is_no_book_is_refused(tmp_path: Path, text: str) -> None:
    book_path(tmp_path / "page.md").write_text(text)
    with pytest.raises(CorruptFile, match=r"page\.json holds no rows"):
        load_book(tmp_path / "page.md")
