"""Scoring files from committed results."""

import json
import weakref
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from coordinator.aggregate import aggregate, iteration_details
from shared.file_manager import ExperimentFileManager
from shared.models import Example, Plan, RunResult, Status, Usage

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def experiment(directory: Path, runs: dict[str, dict[str, tuple[Status, float | None]]], planned: int) -> Path:
    """An experiment with those results: scaffold id -> run type -> (status, score)."""
    files = ExperimentFileManager(directory)
    examples = {f"valid_{n}": Example(id=str(n), input="x") for n in range(planned)}
    files.save_plan(Plan(experiment="exp", iteration=0, scaffolds=tuple(runs), runs=examples))
    for scaffold_id, by_run_type in runs.items():
        for run_type, (status, score) in by_run_type.items():
            files.commit_result(
                RunResult(
                    experiment="exp",
                    iteration=0,
                    scaffold_id=scaffold_id,
                    run_type=run_type,
                    example_id="x",
                    status=status,
                    score=score,
                    usage=Usage(calls=2, input_tokens=10, output_tokens=3),
                    started_at=NOW,
                    finished_at=NOW,
                )
            )
    return directory


def test_means_counts_and_usage(tmp_path: Path) -> None:
    runs = {
        "0": {"valid_0": (Status.OK, 1.0), "valid_1": (Status.OK, 0.0), "valid_2": (Status.TIMEOUT, 0.0)},
        "1": {"valid_0": (Status.OK, 1.0), "valid_1": (Status.SCORER_ERROR, 0.0), "valid_2": (Status.OK, 1.0)},
    }
    directory = experiment(tmp_path / "exp", runs, planned=3)
    details = aggregate(ExperimentFileManager(directory), 0)
    scores = json.loads((directory / "scoring/scores_0.json").read_text())
    assert scores == {"train": {}, "valid": {"0": 1 / 3, "1": 2 / 3}}
    zero = details.splits["valid"]["0"]
    assert (zero.n, zero.planned, zero.missing, zero.complete) == (3, 3, 0, True)
    assert zero.statuses == {Status.OK: 2, Status.TIMEOUT: 1}
    assert (zero.calls, zero.input_tokens, zero.output_tokens) == (6, 30, 9)
    assert zero.ci95 is not None
    assert zero.ci95[0] < 1 / 3 < zero.ci95[1]


def test_what_is_missing_is_never_a_zero(tmp_path: Path) -> None:
    directory = experiment(tmp_path / "exp", {"0": {"valid_1": (Status.OK, 1.0)}, "1": {}}, planned=4)
    details = aggregate(ExperimentFileManager(directory), 0)
    part = details.splits["valid"]["0"]
    assert (part.mean, part.n, part.missing, part.complete) == (1.0, 1, 3, False)
    assert json.loads((directory / "scoring/scores_0.json").read_text()) == {"train": {}, "valid": {"0": 1.0}}
    assert details.splits["valid"]["1"].mean is None


def test_results_that_were_not_planned_do_not_count(tmp_path: Path) -> None:
    runs = {"0": {"valid_0": (Status.OK, 0.0), "valid_7": (Status.OK, 1.0)}}
    details = aggregate(ExperimentFileManager(experiment(tmp_path / "exp", runs, planned=1)), 0)
    assert details.splits["valid"]["0"].mean == 0.0


scores = st.floats(min_value=-1e6, max_value=1e6)


@given(st.lists(scores, min_size=1, max_size=12), st.randoms())
def test_the_bytes_do_not_depend_on_the_order_of_commits(values: list[float], random: object) -> None:
    import random as module
    import tempfile

    assert isinstance(random, module.Random)
    items = [(f"valid_{n}", (Status.OK, value)) for n, value in enumerate(values)]
    shuffled = random.sample(items, len(items))
    with tempfile.TemporaryDirectory() as folder:
        written = []
        for name, order in (("a", items), ("b", shuffled)):
            directory = experiment(Path(folder) / name, {"0": dict(order)}, planned=len(values))
            aggregate(ExperimentFileManager(directory), 0)
            aggregate(ExperimentFileManager(directory), 0)
            written.append([(directory / "scoring" / f).read_bytes() for f in ("scores_0.json", "details_0.json")])
        assert written[0] == written[1]


def test_a_quarantined_run_is_missing(tmp_path: Path) -> None:
    directory = experiment(tmp_path / "exp", {"0": {"valid_0": (Status.INFRA_ERROR, None)}}, planned=1)
    part = aggregate(ExperimentFileManager(directory), 0).splits["valid"]["0"]
    assert (part.n, part.missing, part.mean) == (0, 1, None)


def test_no_result_is_kept_once_it_was_counted() -> None:
    plan = Plan(
        experiment="exp",
        iteration=0,
        scaffolds=("0",),
        runs={f"valid_{n}": Example(id=str(n), input="x") for n in range(50)},
    )
    alive: list[weakref.ref[RunResult]] = []

    def results() -> Iterator[RunResult]:
        for run_type in plan.runs:
            assert sum(one() is not None for one in alive) <= 1
            fields = {"experiment": "exp", "iteration": 0, "scaffold_id": "0", "run_type": run_type}
            values = {**fields, "example_id": "x", "status": "ok", "score": 1.0, "started_at": NOW, "finished_at": NOW}
            result = RunResult.model_validate(values)
            alive.append(weakref.ref(result))
            yield result

    assert iteration_details(plan, [("0", results())]).splits["valid"]["0"].n == 50
