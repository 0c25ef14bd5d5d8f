"""Whole experiments, run in this process."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordinator.generation import attempts_of
from coordinator.proposers import Draft, Order
from coordinator.verify import Check, admit
from shared.errors import CorruptFile, Exhausted, OutOfBudget, Unavailable
from shared.file_manager import ExperimentFileManager
from shared.models import Details, Job
from tests.looping import DATA, RAISING, Session, ToldProposer, code, experiment, install, left_behind, numbers

GIVEN = (code(3), code(5))


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


def better(order: Order, attempt: int) -> str:
    """A child is one better than its parent; the n-th of the first generation has quality n."""
    if order.parent is None:
        return code(order.index + 1)
    return code(min(10, round(order.parent.valid_mean * 10) + 1))


def means(details: Details, split: str = "valid") -> dict[str, float | None]:
    return {id: part.mean for id, part in details.splits.get(split, {}).items()}


def runs(session: Session, split: str) -> Counter[tuple[int, str]]:
    return Counter((job.iteration, job.scaffold_id) for job in session.queue.ran if job.run_type.startswith(split))


def test_an_experiment_from_given_scaffolds_to_a_tested_winner(tmp_path: Path) -> None:
    files = experiment(tmp_path, GIVEN, loop={"iterations": 3, "top_k": 2, "children": 2, "train_per_scaffold": 2})
    proposer = ToldProposer(better)
    session = Session(files, proposer)
    found = session.run()
    assert means(found[0]) == {"0": 0.3, "1": 0.5, "baseline": 0.0}
    assert means(found[1]) == {"1-0": 0.6, "1-1": 0.6, "0-0": 0.4, "0-1": 0.4}
    # Of equal means that of the lower id goes first.
    assert means(found[2]) == {"1-0-0": 0.7, "1-0-1": 0.7, "1-1-0": 0.7, "1-1-1": 0.7}
    assert files.load_plan(1).assigned["train"] == ("1", "0") and files.load_plan(2).assigned["train"] == ("1-0", "1-1")
    assert runs(session, "train") == {(1, "1"): 2, (1, "0"): 2, (2, "1-0"): 2, (2, "1-1"): 2}
    assert [order.number for order in proposer.orders] == list(range(8))
    assert runs(session, "test") == {(2, "1-0-0"): 10}
    winner = found[2].winner
    assert winner is not None
    assert (winner.scaffold_id, winner.valid_mean, winner.test_mean, winner.gap) == ("1-0-0", 0.7, 0.7, 0.0)
    assert files.load_scores(1) == {"train": {"1": 1.0, "0": 0.5}, "valid": means(found[1])}
    assert files.load_scaffold("1-0-1").metadata.parent_scaffold_id == "1-0"
    assert {files.load_scaffold(id).metadata.iteration for id in ("1-0-0", "1-0-1")} == {2}
    assert session.talk.restored == 0, "nothing is looked at twice"


def test_a_first_generation_is_completed_by_the_proposer(tmp_path: Path) -> None:
    files = experiment(tmp_path, GIVEN[:1], loop={"initial": 3})
    found = Session(files, ToldProposer(better)).run()
    assert means(found[0]) == {"0": 0.3, "1": 0.1, "2": 0.2, "baseline": 0.0}
    assert files.load_scaffold("1").metadata.notes["proposer"] == "told"


def test_without_a_proposer_the_given_ones_are_evaluated(tmp_path: Path) -> None:
    data = {"train": DATA["train"], "valid": DATA["valid"]}
    files = experiment(tmp_path, GIVEN, data, loop={"train_per_scaffold": 1})
    spec = files.load_metadata().spec
    metadata = files.load_metadata().model_copy(update={"spec": spec.model_copy(update={"proposer": None})})
    files.save_metadata(metadata)
    files.save_plan(files.load_plan(0).model_copy(update={"runs": {"valid_0": DATA["valid"][0]}}))
    found = Session(files, None).run()
    assert means(found[0]) == {"0": 1.0, "1": 1.0}


def test_results_are_durable_before_a_child_or_a_score_rests_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def noted(name: str) -> None:
        method = getattr(ExperimentFileManager, name)

        def spy(files: ExperimentFileManager, *arguments: object) -> object:
            child = name == "save_scaffold" and "-" in str(arguments[0])
            done.append("born" if child else name)
            return method(files, *arguments)

        monkeypatch.setattr(ExperimentFileManager, name, spy)

    files = experiment(tmp_path, GIVEN, loop={"iterations": 2, "train_per_scaffold": 1})
    for name in ("make_results_durable", "save_scores", "save_scaffold"):
        noted(name)
    Session(files, ToldProposer(better)).run()
    assert "make_results_durable" in done[: done.index("save_scores")]
    trained = done[done.index("save_scores") : done.index("born")]
    assert "make_results_durable" in trained, "what its parent did in training"
    assert done[-2:] == ["make_results_durable", "save_scores"], "those of the test split"


def test_an_earlier_scaffold_that_is_better_stays_a_parent(tmp_path: Path) -> None:
    def worse(order: Order, attempt: int) -> str:
        return code(1)

    files = experiment(tmp_path, GIVEN, loop={"iterations": 4, "top_k": 1, "train_per_scaffold": 1})
    found = Session(files, ToldProposer(worse)).run()
    assert [files.load_plan(number).assigned["train"] for number in (1, 2, 3)] == [("1",)] * 3
    assert [list(means(one)) for one in found[1:]] == [["1-0"], ["1-1"], ["1-2"]]
    assert found[3].winner is not None and found[3].winner.scaffold_id == "1"


def test_the_baseline_may_win_but_is_never_evolved(tmp_path: Path) -> None:
    fours = tuple(example.model_copy(update={"fields": {"answer": "4"}}) for example in DATA["valid"])
    files = experiment(tmp_path, GIVEN, {**DATA, "valid": fours}, loop={"iterations": 2, "top_k": 2})
    found = Session(files, ToldProposer(lambda order, attempt: code(2))).run()
    assert files.load_plan(1).assigned["train"] == ("0", "1")
    assert found[1].winner is not None and found[1].winner.scaffold_id == "baseline"


def test_in_the_place_of_a_child_that_fails_one_of_the_next_best_is_taken(tmp_path: Path) -> None:
    def write(order: Order, attempt: int) -> str:
        assert order.parent is not None
        return RAISING if order.scaffold_id in ("2-0", "2-1", "0-0") else better(order, attempt)

    given = tuple(code(quality) for quality in (4, 3, 5, 1))
    files = experiment(tmp_path, given, loop={"iterations": 2, "top_k": 1, "children": 3, "train_per_scaffold": 1})
    session = Session(files, ToldProposer(write))
    found = session.run()
    assert files.load_plan(1).assigned["train"] == ("2", "0", "1"), "the best, and one for each of two that failed"
    assert means(found[1]) == {"2-2": 0.6, "1-0": 0.4}, "what fails in their place is not replaced again"
    assert runs(session, "train") == {(1, "2"): 1, (1, "0"): 1, (1, "1"): 1}
    assert sum("was skipped after 3 attempts" in line for line in session.talk.said) == 3


def test_where_a_proposer_has_nothing_left_nobody_else_is_trained_for_it(tmp_path: Path) -> None:
    files = experiment(tmp_path, GIVEN, loop={"iterations": 2, "top_k": 1, "train_per_scaffold": 1})
    session = Session(files, ToldProposer(lambda order, attempt: Exhausted("That was all.")))
    found = session.run()
    assert runs(session, "train") == {(1, "1"): 1}
    assert "Scaffold 1-0 was not written: That was all." in session.talk.said
    assert found[1].winner is not None and found[1].winner.test_mean == 0.5


def test_nothing_validated_is_nothing_to_evolve(tmp_path: Path) -> None:
    files = experiment(tmp_path, (), loop={"iterations": 5, "initial": 2}, baseline=False)
    session = Session(files, ToldProposer(lambda order, attempt: RAISING))
    found = session.run()
    assert len(found) == 1 and found[0].winner is None
    assert session.talk.said[-1].endswith("has a validation score, so there is nothing to evolve.")
    assert runs(session, "test") == {}


def test_lineages_end_before_their_ids_do(tmp_path: Path) -> None:
    data = {"valid": numbers(100, 10, "v"), "train": DATA["train"]}
    files = experiment(tmp_path, [code(0)], data, baseline=False, loop={"iterations": 12, "top_k": 1})
    deep = "0" + "-0" * 28
    scaffold = files.load_scaffold("0")
    for id, quality in ((deep, 8), (f"{deep}-0", 9)):
        metadata = scaffold.metadata.model_copy(update={"parent_scaffold_id": id[:-2]})
        files.save_scaffold(id, scaffold.model_copy(update={"code": code(quality), "metadata": metadata}))
    files.save_plan(files.load_plan(0).assign("valid", (deep, f"{deep}-0")))
    session = Session(files, ToldProposer(lambda order, attempt: code(1)))
    session.run()
    assert files.load_plan(1).assigned["train"] == (deep,), "the other's children could not be named"
    assert max(map(len, files.scaffold_ids())) <= 64


@pytest.mark.parametrize("again", [True, False])
def test_validating_again(tmp_path: Path, again: bool) -> None:
    loop = {"iterations": 3, "top_k": 1, "valid_examples": 4, "resample_validation": again}
    files = experiment(tmp_path, GIVEN, loop=loop)
    session = Session(files, ToldProposer(better))
    found = session.run()
    drawn = [tuple(ex.id for type, ex in files.load_plan(n).runs.items() if type[0] == "v") for n in range(3)]
    assert (len(set(drawn)) > 1) is again
    for number in (1, 2):
        (parent,) = files.load_plan(number).assigned["train"]
        *parents, child = means(found[number])
        assert parents == ([parent] if again else []) and child.startswith(f"{parent}-")


def test_repeats(tmp_path: Path) -> None:
    files = experiment(tmp_path, GIVEN, loop={"repeats": 3, "valid_examples": 4})
    session = Session(files, ToldProposer(better))
    part = session.run()[0].splits["valid"]["0"]
    assert (part.n, part.examples) == (12, 4)
    assert runs(session, "test") == {(0, "1"): 30}


def test_runs_that_the_machinery_fails_are_missing_and_never_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coordinator.dispatch.Dispatch.retry_delays", (0.0,))
    files = experiment(tmp_path, GIVEN)
    session = Session(files, ToldProposer(better))
    session.loop._dispatch = _impatient(session.loop._dispatch)  # type: ignore[method-assign]
    session.queue.fail = lambda job: (job.scaffold_id, job.run_type) == ("0", "valid_9")
    part = session.run()[0].splits["valid"]["0"]
    assert (part.n, part.missing, part.mean) == (9, 1, pytest.approx(3 / 9)) and session.talk.quarantined == 1
    again = Session(files, ToldProposer(better))
    assert means(again.run()[0])["0"] == 0.3, "another session makes up for them"


def _impatient(dispatch: Callable[..., Any]) -> Callable[..., Any]:
    def build(part: Any) -> Any:
        found = dispatch(part)
        found.retry_delays = (0.0,)
        return found

    return build


def test_data_that_is_not_what_it_was_is_refused(tmp_path: Path) -> None:
    files = experiment(tmp_path, GIVEN, loop={"iterations": 2})
    Session(files, ToldProposer(better)).run()
    files.save_data("test", numbers(501, 10, "x"))
    with pytest.raises(CorruptFile, match=r"The test examples in .* are not those the experiment began with"):
        Session(files, ToldProposer(better)).run()


# ---------------------------------------------------------------- the budget


def test_a_budget_that_ends_leaves_scores_of_what_was_done(tmp_path: Path) -> None:
    files = experiment(tmp_path, GIVEN, loop={"iterations": 3, "top_k": 1, "train_per_scaffold": 1})
    session = Session(files, ToldProposer(better))
    session.loop.no_more = lambda: "The money is gone." if len(session.queue.ran) >= 32 else None
    with pytest.raises(OutOfBudget, match=r"The money is gone\."):
        session.run()
    assert files.plan_iterations() == [0, 1]
    assert files.load_details(0).splits["valid"]["1"].complete
    assert files.load_scores(1)["train"] == {"1": 1.0}
    assert not any(job.run_type.startswith("test") for job in session.queue.ran)
    undisturbed = experiment(tmp_path / "other", GIVEN, loop=files.load_metadata().spec.loop.model_dump())
    Session(undisturbed, ToldProposer(better)).run()
    Session(files, ToldProposer(better)).run()
    assert left_behind(files) == left_behind(undisturbed), "with more to spend it goes on"


def test_nothing_is_proposed_without_money_for_it(tmp_path: Path) -> None:
    files = experiment(tmp_path, (), loop={"initial": 2})
    proposer = ToldProposer(better)
    session = Session(files, proposer)
    session.loop.no_more = lambda: "The money is gone."
    with pytest.raises(OutOfBudget):
        session.run()
    assert not proposer.orders and not session.queue.ran and files.load_details(0).winner is None


def test_a_finished_experiment_needs_no_more_money(tmp_path: Path) -> None:
    files = experiment(tmp_path, GIVEN, loop={"iterations": 2, "top_k": 1})
    Session(files, ToldProposer(better)).run()
    before = left_behind(files)
    again = Session(files, ToldProposer(better))
    again.loop.no_more = lambda: "The money is gone."
    assert again.run()[-1].winner is not None and left_behind(files) == before


# ---------------------------------------------------------------- going on

Undisturbed = tuple[dict[str, bytes], set[tuple[int, str, str]], int]
"""What is left behind, the runs, and the number of events."""
RESUMED: dict[str, Any] = {
    "data": {"train": DATA["train"], "valid": DATA["valid"][3:6], "test": DATA["test"][:2]},
    "loop": {"iterations": 3, "initial": 3, "top_k": 2, "train_per_scaffold": 1, "seed": 4},
}


def with_failures(order: Order, attempt: int) -> str | Draft | None:
    """Good ones, some that are mended, one that is not, and one that is given up at once."""
    if order.scaffold_id == "2" and attempt == 0:
        return Draft(code=None, problem="There are two code blocks.")
    if order.scaffold_id == "1-0" and attempt < 2:
        return RAISING
    if order.scaffold_id.endswith("0-0"):
        return RAISING if attempt == 0 else None
    return better(order, attempt)


def place(job: Job) -> tuple[int, str, str]:
    return job.iteration, job.scaffold_id, job.run_type


class Stop:
    """Raises at the n-th event."""

    def __init__(self, at: int | None) -> None:
        self.left = at
        self.seen: Counter[str] = Counter()

    def __call__(self, event: str) -> None:
        self.seen[event] += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt


def make(folder: Path) -> ExperimentFileManager:
    return experiment(folder, GIVEN[:1], **RESUMED)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        files = make(tmp_path_factory.mktemp("undisturbed"))
        stop = Stop(None)
        session = Session(files, ToldProposer(with_failures, stop), stop)
        session.run()
        skipped = [id for id in files.scaffold_ids() if "skipped" in files.load_scaffold(id).metadata.notes]
        assert skipped and len(files.plan_iterations()) == 3
        return left_behind(files), {place(job) for job in session.queue.ran}, sum(stop.seen.values())


@pytest.mark.parametrize("at", [*range(0, 8), *range(8, 140, 11)])
def test_an_experiment_that_is_stopped_anywhere_comes_to_the_same(
    tmp_path: Path, undisturbed: Undisturbed, at: int
) -> None:
    expected, jobs, events = undisturbed
    files = make(tmp_path)
    answered: Counter[tuple[str, int]] = Counter()
    ran: list[tuple[int, str, str]] = []
    for stop in (Stop(at % events), Stop((at * 7) % events), Stop(None)):
        proposer = ToldProposer(with_failures, stop)
        session = Session(files, proposer, stop)
        try:
            session.run()
        except KeyboardInterrupt:
            assert stop.left is not None
        # What was answered with None left nothing to keep; it may be asked again.
        answered += Counter({key: n for key, n in proposer.answered.items() if not given_up(*key)})
        ran += map(place, session.queue.ran)
        seen = ExperimentFileManager.open(Path(str(files)))
        assert admit(seen) == [], "wherever it was stopped, it can be gone on with"
        flaws = list(Check(seen).everything())
        assert not [flaw for flaw in flaws if flaw.is_problem], "and is whole"
    assert flaws == [], "and in the end there is nothing left to do"
    assert left_behind(files) == expected
    assert max(answered.values()) == 1, "a proposal that was made is made no second time"
    assert len(ran) == len(set(ran)) and set(ran) == jobs, "no run that is committed is made again"


def given_up(scaffold_id: str, attempt: int) -> bool:
    return scaffold_id.endswith("0-0") and attempt == 1


def test_a_model_out_of_reach_ends_the_session_and_costs_no_attempt(tmp_path: Path) -> None:
    files = make(tmp_path / "one")
    away = ToldProposer(lambda order, attempt: Unavailable("No answer.") if attempt else with_failures(order, 0))
    with pytest.raises(Unavailable):
        Session(files, away).run()
    assert [len(attempts_of(files.load_scaffold(id).metadata)) for id in ("1", "2")] == [1, 1]
    Session(files, ToldProposer(with_failures)).run()
    other = make(tmp_path / "other")
    Session(other, ToldProposer(with_failures)).run()
    assert left_behind(files) == left_behind(other)
