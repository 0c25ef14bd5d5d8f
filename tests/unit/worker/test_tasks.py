"""What a message may hold; anything else is refused before a path is made of it."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.file_manager import ExperimentFileManager
from shared.models import ExperimentMetadata, ExperimentSpec
from shared.settings import get_settings
from worker import tasks
from worker.cancelled import CancelledSessions
from worker.tasks import run_job_task

GOOD = {"experiment": "x_1", "iteration": 0, "scaffold_id": "0", "run_type": "valid_0"}
HOSTILE: list[tuple[dict[str, Any], Any]] = [
    ({**GOOD, "experiment": "../../etc"}, 1),
    ({**GOOD, "experiment": "/etc"}, 1),
    ({**GOOD, "scaffold_id": "../0"}, 1),
    ({**GOOD, "scaffold_id": "a\0b"}, 1),
    ({**GOOD, "scaffold_id": "0\n"}, 1),
    ({**GOOD, "scaffold_id": None}, 1),
    ({**GOOD, "run_type": "valid_0/../../x"}, 1),
    ({**GOOD, "iteration": -1}, 1),
    ({**GOOD, "iteration": "../1"}, 1),
    ({**GOOD, "path": "/etc/passwd"}, 1),
    ({}, 1),
    (GOOD, 0),
    (GOOD, "../1"),
]


class Watch:
    """Hears, while ``on``, of every file and folder that Python is asked for."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[tuple[str, str]] = []
        sys.addaudithook(self._hear)  # a hook cannot be removed; this one then hears nothing

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and (event == "open" or event.startswith("os.")):
            self.seen.append((event, repr(arguments)))


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SCAFFOLDRY_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    tasks._experiment.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


@pytest.mark.parametrize(("job", "attempt"), HOSTILE)
def test_a_message_that_is_no_job_is_refused_without_touching_a_path(
    data_dir: Path, watch: Watch, job: dict[str, Any], attempt: Any
) -> None:
    run_job_task({}, 1, 1)  # whatever is read only once has been read
    watch.on = True
    try:
        receipt = run_job_task(job, attempt, 1)
    finally:
        watch.on = False
    assert watch.seen == []
    assert receipt["status"] == "infra_error"
    assert receipt["error_message"].startswith("The message is no job: ")
    assert list(data_dir.iterdir()) == []


def test_the_watch_hears_of_paths(data_dir: Path, watch: Watch) -> None:
    watch.on = True
    try:
        list(data_dir.iterdir())
    finally:
        watch.on = False
    assert watch.seen
    watch.seen.clear()


def test_a_job_of_no_experiment_here_is_a_receipt_that_says_so(data_dir: Path) -> None:
    receipt = run_job_task(GOOD, 2, 1)
    assert (receipt["status"], receipt["attempt"]) == ("infra_error", 2)
    assert receipt["host_trouble"], "its coordinator has it: it is this host that has another volume"
    assert receipt["error_message"] == ".../x_1 holds no experiment: there is no metadata.json in it."
    assert str(data_dir) not in str(receipt)


def test_a_worker_runs_in_its_own_sandbox_alone(data_dir: Path) -> None:
    """Else whoever sends a job could choose to run a scaffold without isolation."""
    files = ExperimentFileManager(data_dir / "x_1")
    spec = {"name": "x", "data": {"valid": {"path": "d"}}, "scorer": {"name": "exact"}, "scaffolds": ["a"]}
    files.save_metadata(
        ExperimentMetadata(
            experiment="x_1",
            created_at=datetime.now(UTC),
            spec=ExperimentSpec.model_validate({**spec, "sandbox": "process"}),
        )
    )
    receipt = run_job_task(GOOD, 1, 1)
    assert receipt["status"] == "infra_error"
    assert "runs in the sandbox 'process', and this worker in 'docker' alone" in receipt["error_message"]


def test_a_job_of_a_cancelled_session_is_dropped(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the mark on the volume says so or the worker was told; and a later session's is not."""
    files = ExperimentFileManager(data_dir / "x_1")
    monkeypatch.setattr(tasks, "_experiment", lambda name: files)
    monkeypatch.setattr(tasks, "cancelled_sessions", CancelledSessions())
    began = files.begin()
    assert not run_job_task(GOOD, 1, began).get("cancelled", False)
    last = files.cancel()
    assert run_job_task(GOOD, 1, began).get("cancelled", False)
    resumed = files.begin()
    assert resumed > last
    assert not run_job_task(GOOD, 1, resumed).get("cancelled", False)
    tasks.cancelled_sessions.add("x_1", resumed)
    assert run_job_task(GOOD, 1, resumed).get("cancelled", False)
    assert not run_job_task(GOOD, 1, files.begin()).get("cancelled", False)
