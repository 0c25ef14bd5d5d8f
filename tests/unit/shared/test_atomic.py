"""Files are whole or absent, and what was written survives a power cut: names as well as bytes."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared import atomic
from shared.file_manager import ExperimentFileManager
from shared.models import Job, RunResult, Status


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The directories whose names were made durable, in order."""
    found: list[Path] = []
    sync = atomic.sync_directory

    def spy(path: Path) -> None:
        found.append(path)
        sync(path)

    monkeypatch.setattr(atomic, "sync_directory", spy)
    return found


def test_every_new_directory_is_durable_in_the_one_that_holds_it(tmp_path: Path, synced: list[Path]) -> None:
    atomic.write_file(tmp_path / "a" / "b" / "c" / "file", b"x")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"]
    del synced[:]
    assert atomic.write_first(tmp_path / "a" / "b" / "other", b"x")
    assert synced == [tmp_path / "a" / "b"], "nothing more where the directory is there"


def test_a_new_experiment_is_durable_in_its_folder(tmp_path: Path, synced: list[Path]) -> None:
    ExperimentFileManager.create(tmp_path / "new" / "experiments", "e")
    assert synced == [tmp_path, tmp_path / "new", tmp_path / "new" / "experiments"]


def test_a_file_in_the_way_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        atomic.write_file(tmp_path / "file" / "a" / "b", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_names_of_results_are_durable_once_something_is_to_rest_on_them(tmp_path: Path, synced: list[Path]) -> None:
    files = ExperimentFileManager.create(tmp_path, "e")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    folder = tmp_path / files.name / "results" / "0" / "1"
    for number in range(2):
        job = Job(experiment=files.name, iteration=0, scaffold_id="1", run_type=f"valid_{number}")
        result = RunResult(
            **job.model_dump(), example_id="x", status=Status.OK, score=1.0, started_at=now, finished_at=now
        )
        with files.begin_attempt(job, 1) as draft:
            assert draft.commit(result)
    assert folder not in synced, "no run waits for that"
    files.make_results_durable(0, ["0", "1"])
    assert synced[-1] == folder
