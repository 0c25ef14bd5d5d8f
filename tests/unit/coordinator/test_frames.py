"""Runs as rows and as a data frame."""

import builtins
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coordinator.frames import COLUMNS, run_rows, runs_df
from shared.errors import NotAnExperiment, UsageError
from shared.file_manager import ExperimentFileManager
from shared.models import (
    Example,
    ExperimentMetadata,
    ExperimentSpec,
    Plan,
    RunResult,
    ScaffoldMetadata,
    ScaffoldResult,
    Status,
    Usage,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SPEC = {"name": "demo", "data": {"valid": {"path": "v"}}, "scorer": {"name": "exact"}, "scaffolds": ["a"]}


@pytest.fixture
def files(tmp_path: Path) -> ExperimentFileManager:
    """Scaffold 0 and its child 0-0: a trial, two validated runs in two iterations."""
    files = ExperimentFileManager.create(tmp_path, "demo", NOON)
    for scaffold_id, parent in (("0", None), ("0-0", "0")):
        metadata = ScaffoldMetadata(created_at=NOON, parent_scaffold_id=parent)
        files.save_scaffold(scaffold_id, ScaffoldResult(code="", metadata=metadata))
    runs = {"valid_0": Example(id="a", input="x")}
    for iteration, scaffold_id in enumerate(("0", "0-0")):
        assigned = {"valid": (scaffold_id,)}
        files.save_plan(Plan(experiment=files.name, iteration=iteration, runs=runs, assigned=assigned))
    for iteration, scaffold_id, run_type, score in (
        (0, "0", "valid_0", 0.0),
        (1, "0-0", "valid_0", 1.0),
        (1, "0-0", "preflight_0", None),
    ):
        files.commit_result(
            RunResult(
                experiment=files.name,
                iteration=iteration,
                scaffold_id=scaffold_id,
                run_type=run_type,
                example_id="a",
                status=Status.OK,
                score=score,
                output="4",
                usage=Usage(calls=2, input_tokens=10, usd=0.25),
                started_at=NOON,
                finished_at=NOON,
            )
        )
    spec = ExperimentSpec.model_validate(SPEC)
    files.save_metadata(ExperimentMetadata(experiment=files.name, created_at=NOON, spec=spec))
    return files


def test_a_row_for_each_committed_run(files: ExperimentFileManager) -> None:
    rows = list(run_rows(str(files)))
    assert [(row["iteration"], row["scaffold_id"], row["split"], row["score"]) for row in rows] == [
        (0, "0", "valid", 0.0),
        (1, "0-0", "preflight", None),
        (1, "0-0", "valid", 1.0),
    ]
    assert all(tuple(row) == COLUMNS for row in rows)
    assert [row["parent_scaffold_id"] for row in rows] == [None, "0", "0"]
    assert (rows[0]["usage_calls"], rows[0]["usage_usd"], rows[0]["status"], rows[0]["output"]) == (2, 0.25, "ok", "4")


def test_every_field_of_a_result_is_there() -> None:
    assert set(RunResult.model_fields) - {"usage"} < set(COLUMNS)
    assert {f"usage_{name}" for name in Usage.model_fields} < set(COLUMNS)


def test_the_data_frame(files: ExperimentFileManager) -> None:
    frame = runs_df(str(files))
    assert list(frame.columns) == list(COLUMNS) and len(frame) == 3
    valid = frame[frame.split == "valid"]
    assert valid.groupby("scaffold_id").score.mean().to_dict() == {"0": 0.0, "0-0": 1.0}
    assert frame.usage_usd.sum() == 0.75
    assert frame.started_at.iloc[0] == NOON


def test_without_runs_the_columns_are_there(tmp_path: Path) -> None:
    files = ExperimentFileManager.create(tmp_path, "empty", NOON)
    spec = ExperimentSpec.model_validate(SPEC)
    files.save_metadata(ExperimentMetadata(experiment=files.name, created_at=NOON, spec=spec))
    assert list(runs_df(str(files)).columns) == list(COLUMNS)


def test_without_pandas_the_error_says_how_to_get_it(
    files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = builtins.__import__

    def without_pandas(name: str, *rest: object) -> object:
        if name == "pandas":
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_pandas)
    with pytest.raises(UsageError, match=r"pip install 'scaffoldry\[pandas\]'"):
        runs_df(str(files))
    assert len(list(run_rows(str(files)))) == 3


def test_what_is_no_experiment(tmp_path: Path) -> None:
    with pytest.raises(NotAnExperiment):
        runs_df(tmp_path)
