"""Orders: which ids and numbers, and what is told of the parents."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from coordinator.orders import child_orders, first_orders
from shared.file_manager import ExperimentFileManager
from shared.models import Example, ExperimentSpec, Job, Plan, RunResult, ScaffoldMetadata, ScaffoldResult, Status

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def files(tmp_path: Path) -> ExperimentFileManager:
    """Two given scaffolds and one that was proposed."""
    files = ExperimentFileManager.create(tmp_path, "exp", NOW)
    save(files, "0")
    save(files, "1")
    save(files, "2", proposed=True)
    return files


def save(
    files: ExperimentFileManager, id: str, proposed: bool = False, parent: str | None = None, iteration: int = 0
) -> None:
    notes = {"attempts": [{}]} if proposed else {}
    metadata = ScaffoldMetadata(created_at=NOW, parent_scaffold_id=parent, iteration=iteration, notes=notes)
    files.save_scaffold(id, ScaffoldResult(code=f"# {id}\n", metadata=metadata))


def plan(files: ExperimentFileManager, iteration: int = 1, train: int = 2) -> Plan:
    runs = {f"train_{n}": Example(id=f"t{n}", input=f"in {n}", fields={"answer": n}) for n in range(train)}
    runs |= {"valid_0": Example(id="v", input="hidden")}
    return Plan(experiment=files.name, iteration=iteration, runs=runs, assigned={"train": ("0", "1"), "valid": ()})


def ordered(files: ExperimentFileManager, iteration: int = 1, children: int = 2) -> list[tuple[str, int, int]]:
    found = child_orders(files, plan(files, iteration), {"1": 0.5, "0": 0.25}, children, seed=7)
    assert all((order.kind, order.count, order.seed) == ("child", children, 7) for order in found)
    return [(order.scaffold_id, order.number, order.index) for order in found]


def test_the_first_generation_goes_on_after_the_given_ones() -> None:
    spec = {"name": "x", "data": {"valid": {"path": "v"}}, "scorer": {"name": "exact"}, "proposer": {"name": "llm"}}
    given = ExperimentSpec.model_validate({**spec, "scaffolds": ("a", "b"), "loop": {"initial": 4, "seed": 3}})
    found = first_orders(given)
    assert [(order.scaffold_id, order.number, order.index) for order in found] == [("2", 0, 0), ("3", 1, 1)]
    assert {(order.kind, order.count, order.seed, order.parent) for order in found} == {("first", 2, 3, None)}
    assert len(first_orders(ExperimentSpec.model_validate(spec))) == 4
    assert first_orders(ExperimentSpec.model_validate({**spec, "scaffolds": ("a", "b"), "loop": {"initial": 2}})) == []


def test_children_are_numbered_over_the_whole_experiment(files: ExperimentFileManager) -> None:
    assert ordered(files) == [("1-0", 1, 0), ("1-1", 2, 1), ("0-0", 3, 0), ("0-1", 4, 1)]


def test_older_children_of_the_same_parent_count(files: ExperimentFileManager) -> None:
    save(files, "1-0", proposed=True, parent="1", iteration=1)
    save(files, "2-0", proposed=True, parent="2", iteration=1)
    assert ordered(files, iteration=2, children=1) == [("1-1", 3, 0), ("0-0", 4, 0)]


def test_those_of_a_stopped_session_are_ordered_as_they_were(files: ExperimentFileManager) -> None:
    before = ordered(files)
    save(files, "1-0", proposed=True, parent="1", iteration=1)
    save(files, "1-1", proposed=True, parent="1", iteration=1)
    assert ordered(files) == before
    # Those of a parent that took the place of one of these come after them.
    spare = child_orders(files, plan(files), {"2": 0.1}, 1, seed=0)
    assert [(order.scaffold_id, order.number) for order in spare] == [("2-0", 3)]


def test_what_is_told_of_a_parent(files: ExperimentFileManager) -> None:
    job = Job(experiment=files.name, iteration=1, scaffold_id="1", run_type="train_1")
    fields = {"output": "out", "score": 0.5, "feedback": "so so", "error_message": "oh"}
    times = {"started_at": NOW, "finished_at": NOW}
    for run_type in ("train_1", "valid_0"):
        values = {**job.model_dump(), "run_type": run_type, "example_id": "t1", "status": Status.OK, **fields, **times}
        files.commit_result(RunResult.model_validate(values))
    with files.open_log(1, "1", "train_1") as log:
        log.output("a" * 15_000 + "b" * 15_000)
    best, other = child_orders(files, plan(files), {"1": 0.5, "0": 0.25}, 1, seed=0)
    assert best.parent is not None and other.parent is not None
    assert (best.parent.scaffold_id, best.parent.valid_mean, best.parent.scaffold.code) == ("1", 0.5, "# 1\n")
    (run,) = best.parent.runs
    assert (run.example.id, run.status, run.output, run.score) == ("t1", Status.OK, "out", 0.5)
    assert (run.feedback, run.error_message) == ("so so", "oh")
    assert "\n[...]\n" in run.log and len(run.log) < 20_100 and run.log.count("a") <= 10_000
    assert other.parent.runs == ()
