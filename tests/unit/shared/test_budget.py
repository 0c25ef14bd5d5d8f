"""The experiment's budget: nothing ever exceeds it, whoever spends it."""

import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.budget import Budget, Reservation, check_budget
from shared.errors import CallTooLarge, CorruptFile, OutOfBudget, SpecError
from shared.file_manager import ExperimentFileManager
from shared.models import ExperimentSpec, Usage
from shared.models.spec import BudgetSpec
from shared.models.spending import Spending

PROCESSES = multiprocessing.get_context("spawn")


def budget(directory: Path, **bounds: Any) -> Budget:
    directory.mkdir(exist_ok=True)
    return Budget(ExperimentFileManager(directory), BudgetSpec(**bounds))


def used(tokens_in: int = 0, tokens_out: int = 0, usd: float | None = None) -> Usage:
    return Usage(calls=1, input_tokens=tokens_in, output_tokens=tokens_out, usd=usd)


def test_a_reservation_counts_at_once_and_settling_corrects_it(tmp_path: Path) -> None:
    mine = budget(tmp_path, tokens=1000, usd=1.0)
    reservation = mine.reserve(300, 0.25)
    assert mine.spent() == Spending(calls=1, tokens=300, usd=0.25)
    mine.settle(reservation, used(20, 5, 0.01))
    assert mine.spent() == Spending(calls=1, tokens=25, usd=0.01)


def test_what_was_used_counts_even_where_it_is_more_than_was_reserved(tmp_path: Path) -> None:
    mine = budget(tmp_path, tokens=1000)
    mine.settle(mine.reserve(300), used(20, 2000))
    assert mine.spent().tokens == 2020
    with pytest.raises(OutOfBudget):
        mine.reserve(1)


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        ({"llm_calls": 1}, r"^The budget of 1 model call \(budget\.llm_calls\) is used up\.$"),
        (
            {"tokens": 1000},
            r"^The budget of 1,000 tokens \(budget\.tokens\) is used up: 600 are used or in flight, and the next call "
            r"may use 600\.$",
        ),
        (
            {"usd": 0.5},
            r"^The budget of \$0\.5 \(budget\.usd\) is used up: \$0\.3 are used or in flight, and the next call "
            r"may cost \$0\.3\.$",
        ),
    ],
)
def test_a_refusal_says_which_bound_is_reached_and_counts_nothing(
    tmp_path: Path, bounds: dict[str, Any], reason: str
) -> None:
    mine = budget(tmp_path, **bounds)
    mine.reserve(600, 0.3)
    before = mine.spent()
    with pytest.raises(OutOfBudget, match=reason):
        mine.reserve(600, 0.3)
    assert mine.spent() == before
    assert OutOfBudget.exit_code == 0


@pytest.mark.parametrize("bounds", [{"tokens": 100}, {"usd": 0.1}])
def test_a_call_larger_than_the_whole_budget_is_its_makers_trouble(tmp_path: Path, bounds: dict[str, Any]) -> None:
    mine = budget(tmp_path, **bounds)
    with pytest.raises(CallTooLarge, match="more than the whole budget"):
        mine.reserve(101, 0.11)
    assert mine.spent() == Spending()
    assert mine.reserve(100, 0.1) == Reservation(tokens=100, usd=0.1)


@pytest.mark.parametrize("bounds", [{"llm_calls": 2}, {"tokens": 20}, {"usd": 0.02}, {"hours": 0.5}])
def test_reached_says_so_exactly_at_the_bound(tmp_path: Path, bounds: dict[str, Any]) -> None:
    mine = budget(tmp_path, **bounds)
    mine.reserve(10, 0.01)
    mine.add_time(1799.0)
    assert mine.reached() is None
    mine.reserve(10, 0.01) if "hours" not in bounds else mine.add_time(1.0)
    (field,) = bounds
    assert f"(budget.{field}) is used up." in (mine.reached() or "")


def test_the_hours_of_this_moment_go_before_the_noted_ones(tmp_path: Path) -> None:
    mine = budget(tmp_path, hours=1)
    assert mine.reached(0.999) is None
    assert mine.reached(1.0) == "The budget of 1 hour (budget.hours) is used up."


def test_without_bounds_there_is_no_budget_and_no_file(tmp_path: Path) -> None:
    files = ExperimentFileManager(tmp_path)
    assert Budget.of(files, BudgetSpec()) is None
    hours = Budget.of(files, BudgetSpec(hours=1))
    assert hours is not None and not hours.counts_calls
    assert hours.reached() is None
    assert list(tmp_path.iterdir()) == []


def test_a_count_that_does_not_parse_names_its_file(tmp_path: Path) -> None:
    mine = budget(tmp_path, llm_calls=5)
    (tmp_path / "budget.json").write_text('{"calls": ')
    with pytest.raises(CorruptFile, match=r"budget\.json"):
        mine.reserve(1)
    with pytest.raises(CorruptFile, match=r"budget\.json"):
        mine.spent()


class TestAnySequence:
    """Calls come and go in any order; what the provider used is never more than the budget."""

    @given(
        bound=st.integers(1, 2000),
        calls=st.integers(1, 30),
        steps=st.lists(st.tuples(st.integers(1, 300), st.integers(0, 100), st.integers(0, 3)), max_size=40),
    )
    def test_tokens_and_calls(
        self, tmp_path_factory: pytest.TempPathFactory, bound: int, calls: int, steps: list[tuple[int, int, int]]
    ) -> None:
        mine = budget(tmp_path_factory.mktemp("b"), tokens=bound, llm_calls=calls)
        flying: list[tuple[Reservation, int]] = []
        made = really_used = 0
        for most, percent, landing in steps:
            try:
                flying.append((mine.reserve(most), most * percent // 100))
                made += 1
                really_used += flying[-1][1]
            except (OutOfBudget, CallTooLarge):
                assert made == calls or mine.spent().tokens + most > bound
            assert really_used <= mine.spent().tokens <= bound
            assert made == mine.spent().calls <= calls
            if landing and flying:
                reservation, tokens = flying.pop(landing % len(flying))
                mine.settle(reservation, used(tokens))
        for reservation, tokens in flying:
            mine.settle(reservation, used(tokens))
        assert mine.spent().tokens == really_used

    @given(
        bound=st.floats(1e-6, 10),
        steps=st.lists(st.tuples(st.floats(0, 3), st.floats(0, 1), st.booleans()), max_size=30),
    )
    def test_dollars(
        self, tmp_path_factory: pytest.TempPathFactory, bound: float, steps: list[tuple[float, float, bool]]
    ) -> None:
        mine = budget(tmp_path_factory.mktemp("b"), usd=bound)
        really_used, never_settled = 0.0, 0.0
        for most, share, settles in steps:
            try:
                reservation = mine.reserve(1, most)
            except (OutOfBudget, CallTooLarge):
                continue
            if settles:
                mine.settle(reservation, used(usd=most * share))
                really_used += most * share
            else:
                never_settled += most
            assert mine.spent().usd <= bound
        assert mine.spent().usd == pytest.approx(really_used + never_settled, abs=1e-9)


def _try_calls(directory: Path, start: Barrier, calls: int, llm_calls: int, made: Path) -> None:
    mine = budget(directory, llm_calls=llm_calls, tokens=10**9)
    start.wait(60)
    for _ in range(calls):
        try:
            reservation = mine.reserve(50)
        except OutOfBudget:
            continue
        with made.open("ab") as file:  # the provider: one byte for each call that reached it
            file.write(b"x")
        mine.settle(reservation, used(3, 4))


def test_four_processes_make_exactly_as_many_calls_as_there_are(tmp_path: Path) -> None:
    start = PROCESSES.Barrier(4)
    made = tmp_path / "made"
    arguments = (tmp_path / "exp", start, 60, 100, made)
    workers = [PROCESSES.Process(target=_try_calls, args=arguments) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(100)
        assert worker.exitcode == 0
    assert made.stat().st_size == 100
    assert budget(tmp_path / "exp", llm_calls=100).spent() == Spending(calls=100, tokens=700)


def test_threads_of_one_process_share_it_too(tmp_path: Path) -> None:
    mine = budget(tmp_path, llm_calls=40)
    made: list[int] = []

    def call() -> None:
        for _ in range(15):
            try:
                mine.settle(mine.reserve(5), used(1))
                made.append(1)
            except OutOfBudget:
                return

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(made), mine.spent()) == (40, Spending(calls=40, tokens=40))


def _reserve_for_ever(directory: Path) -> None:
    mine = budget(directory, llm_calls=10**9)
    while True:
        mine.settle(mine.reserve(7), used(7))


def test_a_killed_process_leaves_a_count_that_parses_and_a_lock_that_is_free(tmp_path: Path) -> None:
    mine = budget(tmp_path / "exp", llm_calls=10**9)
    for _ in range(8):
        worker = PROCESSES.Process(target=_reserve_for_ever, args=(tmp_path / "exp",))
        before = mine.spent().calls
        worker.start()
        assert worker.pid is not None
        while mine.spent().calls < before + 5:
            time.sleep(0.005)
        os.kill(worker.pid, signal.SIGKILL)
        worker.join(60)
        spent = mine.spent()
        assert spent.tokens == 7 * spent.calls, "what was reserved when it died stays counted, and nothing else"
        mine.settle(mine.reserve(7), used(7))


def spec(budget: dict[str, Any], **fields: Any) -> ExperimentSpec:
    minimal = {"name": "x", "data": {"valid": {"path": "v"}}, "scorer": {"name": "exact"}, "scaffolds": ("s",)}
    return ExperimentSpec.model_validate({**minimal, "budget": budget, **fields})


PRICED = {"mine": {"model": "openai/m", "price": {"input": 1.0, "output": 2.0}}}


@pytest.mark.parametrize(
    ("bounds", "fields", "problem"),
    [
        ({"usd": 1.0}, {"executor": {"model": "openai/m"}}, r"price of 'openai/m' \(executor\.model\) is not known"),
        (
            {"usd": 1.0},
            {"proposer": {"name": "llm", "model": "anthropic/m"}},
            r"price of 'anthropic/m' \(proposer\.model\) is not known",
        ),
        (
            {"tokens": 300},
            {},
            r"^budget\.tokens is 300, but one call to 'local/smollm2' \(executor\.model\) .* use 536;",
        ),
        ({"tokens": 1400}, {"proposer": {"name": "llm", "model": "anthropic/m", "max_tokens": 2000}}, "use 2,280;"),
        (
            {"usd": 0.001},
            {"executor": {"model": "mine"}, "models": PRICED},
            r"^budget\.usd is 0\.001, but .*\$0\.008472;",
        ),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused(bounds: dict[str, Any], fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpecError, match=problem):
        check_budget(spec(bounds, **fields))


@pytest.mark.parametrize(
    ("bounds", "fields"),
    [
        ({}, {"executor": {"model": "openai/m"}}),
        ({"llm_calls": 1, "hours": 0.1}, {"executor": {"model": "openai/m"}}),
        ({"usd": 0.01}, {"executor": {"model": "mine"}, "models": PRICED}),
        ({"usd": 0.01, "tokens": 600}, {"proposer": {"name": "mutate"}}),
    ],
)
def test_a_budget_that_can_be_kept_passes(bounds: dict[str, Any], fields: dict[str, Any]) -> None:
    check_budget(spec(bounds, **fields))
