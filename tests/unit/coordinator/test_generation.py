"""Proposals: tried out, repaired, skipped; with a trial that is passed or failed as the test says."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from coordinator.generation import Generation, attempts_of, in_short
from coordinator.proposers import Draft, Order
from shared.errors import Exhausted, OutOfBudget, Unavailable
from shared.file_manager import ExperimentFileManager
from shared.models import RunResult, Status
from tests.looping import ToldProposer, code
from tests.unit.coordinator.test_aggregate import NOW

GOOD = code(5)
FAILED = "Traceback (most recent call last):\n  line 2\nRuntimeError: It broke."


class Trials:
    """Passes code without the word ``raise``; a scaffold named in ``lost`` cannot be tried out."""

    def __init__(self, files: ExperimentFileManager, lost: Sequence[str] = ()) -> None:
        self.files = files
        self.lost = lost
        self.tried: list[tuple[str, int]] = []

    def __call__(self, scaffold_ids: Sequence[str], attempt: int) -> Mapping[str, RunResult]:
        self.tried += [(id, attempt) for id in scaffold_ids]
        return {id: self._result(id, attempt) for id in scaffold_ids if id not in self.lost}

    def _result(self, scaffold_id: str, attempt: int) -> RunResult:
        failed = "raise" in self.files.load_scaffold(scaffold_id).code
        return RunResult(
            experiment="exp",
            iteration=0,
            scaffold_id=scaffold_id,
            run_type=f"preflight_{attempt}",
            example_id="t",
            status=Status.SCAFFOLD_ERROR if failed else Status.OK,
            score=None,
            error_message=FAILED if failed else None,
            started_at=NOW,
            finished_at=NOW,
        )


RAISES = f"{GOOD}raise RuntimeError\n"


@pytest.fixture
def files(tmp_path: Path) -> ExperimentFileManager:
    return ExperimentFileManager.create(tmp_path, "exp", NOW)


def orders(count: int = 1) -> list[Order]:
    return [Order(kind="first", scaffold_id=str(n), number=n, index=n, count=count) for n in range(count)]


class Grown:
    """What came of growing some orders."""

    def __init__(
        self, files: ExperimentFileManager, proposer: ToldProposer, count: int = 1, lost: Sequence[str] = ()
    ) -> None:
        self.files = files
        self.proposer = proposer
        self.said: list[str] = []
        self.trials = Trials(files, lost)
        self.generation = Generation(files, 0, proposer, "told", self.trials, self.said.append)
        self.orders = orders(count)

    def grow(self) -> list[str]:
        return self.generation.grow(self.orders)

    def notes(self, scaffold_id: str = "0") -> dict[str, object]:
        return self.files.load_scaffold(scaffold_id).metadata.notes


def one_after_the_other(*answers: object) -> ToldProposer:
    return ToldProposer(lambda order, attempt: answers[attempt])  # type: ignore[return-value]


def test_what_passes_at_once_is_kept_as_it_is(files: ExperimentFileManager) -> None:
    grown = Grown(files, one_after_the_other(GOOD))
    assert grown.grow() == ["0"] and grown.trials.tried == [("0", 0)] and grown.said == []
    scaffold = files.load_scaffold("0")
    assert scaffold.code == GOOD and scaffold.metadata.notes["proposer"] == "told"
    (attempt,) = attempts_of(scaffold.metadata)
    assert attempt["code"] == GOOD and "skipped" not in scaffold.metadata.notes


@pytest.mark.parametrize(
    ("bad", "problem", "tried"),
    [
        (RAISES, f"In its trial it failed. {FAILED}", True),
        ("def process_input(:\n", "Line 1 of its code is not valid Python (invalid syntax).", False),
        ("x = 1\n", "Its code defines no process_input(input_string).", False),
        (Draft(code=None, problem="There are two code blocks."), "There are two code blocks.", False),
        (Draft(code=None), "There is no code in the answer.", False),
        (ValueError("It does not like it."), "The proposer failed with ValueError: It does not like it.", False),
        (SystemExit(3), "The proposer failed with SystemExit: 3", False),
        ("\ud800", None, False),
    ],
)
def test_a_failure_costs_a_repair_that_is_told_of_it(
    files: ExperimentFileManager, bad: object, problem: str | None, tried: bool
) -> None:
    def answer(order: Order, attempt: int) -> object:
        return bad if attempt == 0 else GOOD

    class Proposer(ToldProposer):
        def repair(self, order: Order, draft: Draft, problem: str) -> Draft | None:
            self.problems.append((order.scaffold_id, problem))
            return Draft(code=GOOD)

    proposer = Proposer(answer)  # type: ignore[arg-type]
    grown = Grown(files, proposer)
    assert grown.grow() == ["0"]
    assert grown.trials.tried == ([("0", 0), ("0", 1)] if tried else [("0", 1)])
    assert len(proposer.problems) == 1 and len(attempts_of(files.load_scaffold("0").metadata)) == 2
    said = proposer.problems[0][1]
    assert said.startswith("The proposer failed with") if problem is None else _plain(said) == _plain(problem)
    assert files.load_scaffold("0").code == GOOD


def _plain(problem: str) -> str:
    """Without the words for the status, which are tested elsewhere."""
    first, _, rest = problem.partition(". ")
    return rest if first.startswith("In its trial") else problem


def test_after_three_attempts_it_is_skipped_and_that_is_said_once(files: ExperimentFileManager) -> None:
    grown = Grown(files, one_after_the_other(RAISES, "def process_input(", RAISES))
    assert grown.grow() == []
    assert grown.trials.tried == [("0", 0), ("0", 2)]
    assert len(attempts_of(files.load_scaffold("0").metadata)) == 3
    assert str(grown.notes()["skipped"]).endswith(FAILED)
    (said,) = grown.said
    assert said.startswith("Scaffold 0 was skipped after 3 attempts: In its trial") and said.endswith("It broke.")
    again = Grown(files, one_after_the_other())
    assert again.grow() == [] and again.said == [] and again.trials.tried == []


def test_a_proposer_that_repairs_nothing(files: ExperimentFileManager) -> None:
    grown = Grown(files, one_after_the_other(RAISES, None))
    assert grown.grow() == []
    assert len(attempts_of(files.load_scaffold("0").metadata)) == 1
    assert grown.said[0].startswith("Scaffold 0 was skipped after 1 attempt: ")
    again = Grown(files, one_after_the_other(RAISES, GOOD))
    assert again.grow() == [] and not again.proposer.problems, "what was skipped stays so"


def test_one_that_fails_is_no_harm_to_the_others(files: ExperimentFileManager) -> None:
    proposer = ToldProposer(lambda order, attempt: RAISES if order.index == 1 else GOOD)
    proposer.at_once = 3
    grown = Grown(files, proposer, count=4)
    assert grown.grow() == ["0", "2", "3"]
    assert proposer.answered["1", 2] == 1 and proposer.answered["0", 0] == 1 and proposer.answered["0", 1] == 0


def test_nothing_left(files: ExperimentFileManager) -> None:
    proposer = ToldProposer(lambda order, attempt: Exhausted("All were taken.") if order.index else GOOD)
    grown = Grown(files, proposer, count=3)
    assert grown.grow() == ["0"] and files.scaffold_ids() == ["0"]
    assert grown.said == [f"Scaffold {n} was not written: All were taken." for n in (1, 2)]


def test_nothing_left_to_repair_with_is_a_skip_and_no_pass(files: ExperimentFileManager) -> None:
    grown = Grown(files, one_after_the_other(RAISES, Exhausted("All were taken.")))
    assert grown.grow() == []
    assert "It broke." in str(grown.notes()["skipped"])


@pytest.mark.parametrize("error", [Unavailable("It does not answer."), OutOfBudget("It is used up.")])
def test_what_ends_a_session_costs_no_attempt(files: ExperimentFileManager, error: Exception) -> None:
    with pytest.raises(type(error)):
        Grown(files, one_after_the_other(RAISES, error)).grow()
    assert (
        len(attempts_of(files.load_scaffold("0").metadata)) == 1
        and "skipped" not in Grown(files, one_after_the_other()).notes()
    )
    again = Grown(files, one_after_the_other(None, GOOD))
    assert again.grow() == ["0"]
    assert again.proposer.answered == {("0", 1): 1}, "the first draft is not asked for again"
    assert len(attempts_of(files.load_scaffold("0").metadata)) == 2


def test_what_is_under_way_when_the_budget_ends_is_kept(files: ExperimentFileManager) -> None:
    both = threading.Barrier(2)

    def write(order: Order, attempt: int) -> str | Exception:
        both.wait(20)
        return GOOD if order.index else OutOfBudget("It is used up.")

    proposer = ToldProposer(write)
    proposer.at_once = 2
    with pytest.raises(OutOfBudget):
        Grown(files, proposer, count=2).grow()
    assert files.scaffold_ids() == ["1"] and proposer.closed == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Unavailable("It does not answer.")])
def test_an_end_lets_go_of_answers_under_way(files: ExperimentFileManager, error: BaseException) -> None:
    closed = threading.Event()
    asked = threading.Event()

    def write(order: Order, attempt: int) -> BaseException:
        if order.index == 0:
            assert asked.wait(20)
            return error
        asked.set()
        assert closed.wait(20), "nobody has closed the proposer"
        return Unavailable("It was let go of.")

    class Proposer(ToldProposer):
        def close(self) -> None:
            closed.set()

    proposer = Proposer(write)
    proposer.at_once = 2
    with pytest.raises(type(error)):
        Grown(files, proposer, count=5).grow()
    assert len(proposer.orders) < 5, "what waits is not asked for any more"
    assert files.scaffold_ids() == []


def test_without_money_nothing_is_asked(files: ExperimentFileManager) -> None:
    grown = Grown(files, one_after_the_other(GOOD))
    generation = Generation(files, 0, grown.proposer, "told", grown.trials, grown.said.append, lambda: "It is gone.")
    with pytest.raises(OutOfBudget, match="It is gone"):
        generation.grow(grown.orders)
    assert not grown.proposer.orders
    grown.grow()
    assert generation.grow(grown.orders) == ["0"], "what was drafted needs no money"


def test_a_trial_that_the_machinery_fails_is_made_again_by_a_resume(files: ExperimentFileManager) -> None:
    grown = Grown(files, one_after_the_other(GOOD), count=2, lost=["0"])
    assert grown.grow() == ["1"] and "skipped" not in grown.notes() and not grown.proposer.problems
    assert [line.partition(",")[0] for line in grown.said] == ["Scaffold 0 could not be tried out"]
    again = Grown(files, one_after_the_other(), count=2)
    assert again.grow() == ["0", "1"] and not again.proposer.answered


def test_in_short() -> None:
    assert in_short("It broke.") == "It broke."
    assert in_short(f"In its trial it failed. {FAILED}\n\n") == (
        "In its trial it failed. Traceback (most recent call last): RuntimeError: It broke."
    )
