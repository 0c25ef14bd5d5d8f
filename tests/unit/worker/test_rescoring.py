"""Scoring stored outputs again, on an experiment with trials."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared import settings
from shared.errors import CorruptFile
from shared.file_manager import ExperimentFileManager
from shared.models import Example, ExperimentMetadata, ExperimentSpec, Job, Plan, RunResult, Status
from worker.rescoring import rescore

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def result(files: ExperimentFileManager, run_type: str, score: float | None, output: str = "4") -> RunResult:
    return RunResult(
        experiment=files.name,
        iteration=0,
        scaffold_id="0",
        run_type=run_type,
        example_id="a",
        status=Status.OK,
        score=score,
        output=output,
        started_at=NOON,
        finished_at=NOON,
    )


@pytest.fixture(autouse=True)
def settings_as_they_were(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Scoring again changes its process's settings for good."""
    monkeypatch.setattr(settings, "_overrides", [])
    yield
    settings.get_settings.cache_clear()


@pytest.fixture
def files(tmp_path: Path) -> ExperimentFileManager:
    """Scaffold 0, which passed its trial and answered one validation example rightly, at a score of 0."""
    files = ExperimentFileManager.create(tmp_path, "demo", NOON)
    example = Example(id="a", input="2+2", fields={"answer": "4"})
    runs = {"preflight_0": example, "valid_0": example}
    files.save_plan(Plan(experiment=files.name, iteration=0, runs=runs, assigned={"valid": ("0",)}))
    files.commit_result(result(files, "preflight_0", None))
    files.commit_result(result(files, "valid_0", 0.0))
    spec = {
        "name": "demo",
        "data": {"valid": {"path": "v.jsonl"}},
        "scorer": {"name": "exact", "field": "answer"},
        "scaffolds": ["a"],
        "sandbox": "process",
    }
    metadata = ExperimentMetadata(experiment=files.name, created_at=NOON, spec=ExperimentSpec.model_validate(spec))
    files.save_metadata(metadata)
    return files


def test_runs_are_scored_again_and_trials_are_not(files: ExperimentFileManager) -> None:
    done = rescore(Path(str(files)))
    assert (done.results, done.changed, done.scorer_errors) == (1, 1, 0)
    jobs = [
        Job(experiment=files.name, iteration=0, scaffold_id="0", run_type=run_type)
        for run_type in ("valid_0", "preflight_0")
    ]
    scores = [found.score for found in map(files.load_result, jobs) if found is not None]
    assert scores == [1.0, None]
    assert rescore(Path(str(files))).changed == 0


def test_a_result_that_no_plan_knows_is_an_error(files: ExperimentFileManager) -> None:
    files.commit_result(result(files, "valid_7", 0.0))
    with pytest.raises(CorruptFile, match=r"valid_7.*no part of that iteration's plan"):
        rescore(Path(str(files)))


@pytest.mark.parametrize("usual", [True, False])
def test_what_the_engine_calls_the_usual_folder_says_nothing_of_another(
    usual: bool, files: ExperimentFileManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = files.load_metadata()
    spec = metadata.spec.model_copy(update={"sandbox": "docker"})
    files.save_metadata(metadata.model_copy(update={"spec": spec}))
    monkeypatch.setenv("SCAFFOLDRY_DATA_DIR", str(tmp_path if usual else tmp_path / "usual"))
    monkeypatch.setenv("SCAFFOLDRY_HOST_DATA_DIR", "/srv/lab")
    settings.get_settings.cache_clear()
    rescore(Path(str(files)))
    assert settings.get_settings().host_data_dir == (Path("/srv/lab") if usual else None)


def test_a_result_keeps_its_key(files: ExperimentFileManager) -> None:
    """What ran is the same, whatever is thought of it."""
    keyed = result(files, "train_0", 0.0).model_copy(update={"key": "sha256:" + "0" * 64, "schema_version": 2})
    plan = files.load_plan(0)
    files.save_plan(plan.model_copy(update={"runs": {**plan.runs, "train_0": plan.runs["valid_0"]}}))
    files.commit_result(keyed)
    rescore(Path(str(files)))
    again = files.load_result(keyed.job)
    assert again is not None and (again.score, again.key, again.schema_version) == (1.0, keyed.key, 2)
