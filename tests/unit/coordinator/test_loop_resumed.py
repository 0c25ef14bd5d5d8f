"""What a later session does with what an earlier one left: failures of our machinery made up for, writes cut short."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from coordinator.experiment import open_for_resume
from coordinator.loop import SPARE, Loop
from coordinator.plan import first_assigned
from coordinator.proposers import Order
from shared.budget import Budget
from shared.errors import Exhausted, OutOfBudget, SpecChanged
from shared.file_manager import ExperimentFileManager
from shared.models import Job, Status
from shared.models.ids import PREFLIGHT, split_of
from shared.models.spec import BudgetSpec
from tests.looping import DATA, RAISING, Session, ToldProposer, code, experiment, install, left_behind

GIVEN = (code(3), code(5))


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    patient = Loop._dispatch
    monkeypatch.setattr(Loop, "_dispatch", lambda loop, part: replace(patient(loop, part), retry_delays=()))


def better(order: Order, attempt: int) -> str:
    return code(7)


def failing(session: Session, scaffold_id: str, split: str) -> Session:
    """Our machinery fails all of a scaffold's runs of a split, but the first of validation."""

    def fails(job: Job) -> bool:
        return job.scaffold_id == scaffold_id and split_of(job.run_type) == split and job.run_type != "valid_0"

    session.queue.fail = fails
    return session


def test_one_lucky_run_does_not_make_a_winner_and_a_late_winner_is_tested(tmp_path: Path) -> None:
    files = experiment(tmp_path, GIVEN, loop={"iterations": 1}, proposer={"name": "told"})
    found = failing(Session(files, ToldProposer(better)), "1", "valid").run()[-1]
    assert found.winner is not None and found.winner.scaffold_id == "0"
    assert [(one.scaffold_id, one.complete) for one in found.leaders][-1] == ("1", False)

    found = Session(files, ToldProposer(better)).run()[-1]
    assert found.winner is not None
    assert (found.winner.scaffold_id, found.winner.valid_mean, found.winner.test_mean) == ("1", 0.5, 0.5)


def test_a_result_that_came_after_its_run_was_given_up_takes_it_out_of_quarantine(tmp_path: Path) -> None:
    files = experiment(tmp_path, GIVEN, loop={"iterations": 1}, proposer={"name": "told"})
    session = Session(files, ToldProposer(better))
    session.run()
    job = Job(experiment=files.name, iteration=0, scaffold_id="1", run_type="valid_1")
    result = files.load_result(job)
    assert result is not None
    files.quarantine(result.model_copy(update={"status": Status.INFRA_ERROR, "score": None}))
    assert files.quarantined_count(0) == 1
    Session(files, ToldProposer(better)).run()
    assert files.quarantined_count(0) == 0 and files.load_result(job) == result


def test_a_trial_that_our_machinery_failed_is_made_again(tmp_path: Path) -> None:
    files = experiment(tmp_path, GIVEN, loop={"iterations": 2, "top_k": 1})
    session = failing(Session(files, ToldProposer(better)), "1-0", PREFLIGHT)
    session.run()
    assert files.quarantined_count(1) == 1
    assert "could not be tried out" in " ".join(session.talk.said)
    proposer = ToldProposer(better)
    found = Session(files, proposer).run()[-1]
    assert files.quarantined_count(1) == 0 and not proposer.answered
    assert found.splits["valid"]["1-0"].mean == 0.7


@pytest.mark.parametrize("attempt", [0, 1])
def test_a_draft_whose_code_was_not_yet_written_is_not_asked_for_again(tmp_path: Path, attempt: int) -> None:
    """A kill between the metadata, which say what was drafted, and the code."""

    def mended(order: Order, attempt: int) -> str:
        return code(7) if attempt else RAISING

    def make(folder: Path) -> ExperimentFileManager:
        return experiment(folder, GIVEN, loop={"iterations": 2, "top_k": 1})

    whole = make(tmp_path / "whole")
    Session(whole, ToldProposer(mended)).run()

    files = make(tmp_path / "killed")
    proposer = ToldProposer(mended)
    drafts = iter(range(10))

    def killed(event: str) -> None:
        if event == "propose" and next(drafts) > attempt:
            raise KeyboardInterrupt

    proposer.event = killed
    session = Session(files, proposer)
    if attempt == 0:
        # Stop right after the first draft, before its trial.
        session.queue.event = lambda event: (_ for _ in ()).throw(KeyboardInterrupt) if proposer.answered else None
    else:
        trials = iter(range(10))

        def second_trial(event: str) -> None:
            if event == "send" and len(proposer.answered) > 1 and next(trials) == 0:
                raise KeyboardInterrupt

        session.queue.event = second_trial
    with pytest.raises(KeyboardInterrupt):
        session.run()
    written = Path(str(files)) / "scaffolds" / "1-0" / "scaffold.py"
    if attempt:
        written.write_text(RAISING)  # as the first draft left it
    else:
        written.unlink()
    again = ToldProposer(mended)
    Session(files, again).run()
    assert ("1-0", attempt) not in again.answered
    assert left_behind(files) == left_behind(whole)


def test_who_stands_in_is_decided_once(tmp_path: Path) -> None:
    """Another session may know of more scaffolds than the one that decided."""

    def write(order: Order, attempt: int) -> str:
        return RAISING

    files = experiment(tmp_path, GIVEN, loop={"iterations": 2, "top_k": 2})
    failing(Session(files, ToldProposer(write)), "1", "valid").run()
    decided = {split: files.load_plan(1).assigned[split] for split in ("train", SPARE)}
    for _ in range(2):
        Session(files, ToldProposer(write)).run()
        assert {split: files.load_plan(1).assigned[split] for split in ("train", SPARE)} == decided
    assert not [id for id in files.scaffold_ids() if id.endswith("-1")]


def test_a_proposer_with_nothing_left_ends_the_loop(tmp_path: Path) -> None:
    files = experiment(tmp_path, GIVEN, loop={"iterations": 5, "top_k": 1, "train_per_scaffold": 2})
    session = Session(files, ToldProposer(lambda order, attempt: Exhausted("That was all.")))
    found = session.run()
    assert len(found) == 2 and files.plan_iterations() == [0, 1]
    assert session.talk.said[-1].startswith("The proposer has no more scaffolds")
    assert found[-1].winner is not None and found[-1].winner.test_mean == 0.5


def test_a_baseline_without_a_proposer(tmp_path: Path) -> None:
    spec = experiment(tmp_path, GIVEN, {"valid": DATA["valid"]}, baseline=True).load_metadata().spec
    alone = spec.model_copy(update={"proposer": None})
    assert first_assigned(alone, ["0", "1"]) == {"valid": ["0", "1", "baseline"]}
    assert first_assigned(alone.model_copy(update={"baseline": None}), ["0", "1"]) == {"valid": ["0", "1"]}


def test_logs_that_are_gone_are_missed_by_nobody(tmp_path: Path) -> None:
    files = experiment(tmp_path, GIVEN, loop={"iterations": 2, "top_k": 1, "train_per_scaffold": 1})
    Session(files, ToldProposer(better)).run()
    before = left_behind(files)
    for path in (Path(str(files)) / "logs").rglob("*.log"):
        path.unlink()
    Session(files, ToldProposer(better)).run()
    assert left_behind(files) == before


def test_a_budget_can_be_raised_and_nothing_else(tmp_path: Path) -> None:
    files = experiment(tmp_path, GIVEN, budget={"llm_calls": 3})
    metadata = files.load_metadata()
    record = json.loads(metadata.spec.model_dump_json(exclude_none=True))

    def resume(**changes: object) -> ExperimentFileManager:
        (tmp_path / "spec.yaml").write_text(json.dumps({**record, **changes}))
        return open_for_resume(Path(str(files)))

    budget = Budget(files, metadata.spec.budget)
    for _ in range(3):
        budget.reserve(1)
    with pytest.raises(OutOfBudget):
        budget.reserve(1)
    resume(budget={"llm_calls": 4})
    budget.reserve(1)  # also by a worker that read the spec before
    with pytest.raises(OutOfBudget, match="4 model calls"):
        budget.reserve(1)
    assert budget.spent().bounds == BudgetSpec(llm_calls=4)
    for changes in ({"budget": {"llm_calls": 5, "tokens": 9}}, {"budget": {}}, {"task": "Another."}):
        with pytest.raises(SpecChanged):
            resume(**changes)
    with pytest.raises(SpecChanged):
        resume(budget={"llm_calls": 9}, task="Another.")
    assert budget.spent().bounds == BudgetSpec(llm_calls=4)
