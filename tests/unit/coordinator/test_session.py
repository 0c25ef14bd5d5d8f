"""A session over a queue whose jobs are committed as they are sent."""

import errno
import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from coordinator import session
from coordinator.celery_queue import CeleryQueue
from coordinator.job_queue import JobQueue
from coordinator.report.base import Summary
from coordinator.report.json_report import JsonReporter
from coordinator.session import cancel, run_session
from shared import atomic
from shared.errors import BrokerUnavailable
from shared.file_manager import ExperimentFileManager
from shared.models import Example, ExperimentMetadata, ExperimentSpec, Job, Plan, Receipt, RunResult, Status
from tests.lab import FakeApp

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXAMPLES = 5


class CommittingQueue(JobQueue):
    """A job is committed when its receipt is taken; after ``patience`` receipts somebody presses Ctrl-C."""

    def __init__(self, files: ExperimentFileManager, patience: int) -> None:
        self.files = files
        self.patience = patience
        self.waiting: list[tuple[Job, int]] = []

    def send(self, job: Job, attempt: int) -> None:
        self.waiting.append((job, attempt))

    def receive(self, timeout: float) -> list[tuple[Job, int, Receipt]]:
        if not self.patience:
            raise KeyboardInterrupt
        self.patience -= 1
        job, attempt = self.waiting.pop(0)
        fields = {"example_id": "0", "status": Status.OK, "score": 1.0, "started_at": NOW, "finished_at": NOW}
        result = RunResult.model_validate({**job.model_dump(), **fields})
        self.files.commit_result(result)
        return [(job, attempt, Receipt.of(result))]

    def complaint(self) -> str | None:
        return None


class Quiet:
    def run(self, jobs: Iterator[Job]) -> None:
        """Has nothing done."""


@pytest.fixture
def files(tmp_path: Path) -> ExperimentFileManager:
    files = ExperimentFileManager.create(tmp_path, "exp", NOW)
    spec = {
        "name": "exp",
        "data": {"valid": {"path": "valid.jsonl"}},
        "scorer": {"name": "exact", "field": "answer"},
        "scaffolds": ["a"],
        "sandbox": "fake",
    }
    examples = {f"valid_{n}": Example(id=str(n), input="x") for n in range(EXAMPLES)}
    files.save_plan(Plan(experiment=files.name, iteration=0, assigned={"valid": ("0",)}, runs=examples))
    files.save_metadata(
        ExperimentMetadata(experiment=files.name, created_at=NOW, spec=ExperimentSpec.model_validate(spec))
    )
    return files


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The results that were read."""
    found: list[str] = []
    unseal = atomic.unseal

    def spy(data: bytes, path: Path, exact: bool = False) -> dict[str, Any]:
        found.append(path.name)
        return unseal(data, path, exact)

    monkeypatch.setattr(atomic, "unseal", spy)
    return found


def conduct(files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch, patience: int = -1) -> Summary:
    @contextmanager
    def workers(*_: object) -> Iterator[CommittingQueue]:
        yield CommittingQueue(files, patience)

    monkeypatch.setattr(session, "_workers", workers)
    with open("/dev/null", "w") as nowhere:
        reporter = JsonReporter(nowhere, nowhere)
        return run_session(files, reporter, data_dir=Path("/nowhere"), broker_url=None, concurrency=1, wait=False)


def test_a_session_reads_each_result_once(
    files: ExperimentFileManager, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = conduct(files, monkeypatch)
    assert summary.complete and summary.details == (files.load_details(0),)
    assert sorted(reads) == [f"valid_{n}.json" for n in range(EXAMPLES)]


def test_an_interrupted_session_says_how_it_stands_and_a_resumed_one_reads_no_more_than_twice(
    files: ExperimentFileManager, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = conduct(files, monkeypatch, patience=2)
    part = summary.details[0].splits["valid"]["0"]
    assert (summary.exit_code, summary.complete, part.n, part.missing) == (130, False, 2, 3)
    assert files.load_details(0) == summary.details[0]
    del reads[:]
    assert conduct(files, monkeypatch).exit_code == 0
    assert max(reads.count(name) for name in reads) == 2 and len(reads) == EXAMPLES + 2


def test_what_killed_processes_left_behind_is_gone_after_a_session_and_what_was_dropped_is_told(
    files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(str(files))
    first = next(files.load_plan(0).jobs())
    for number in range(2):  # the second draft is this session's, the first that of one before it
        files.begin_attempt(first, 1, session=files.begin() + number)._file.close()
    old = folder / "scoring" / f"{atomic.TEMPORARY}1-a"
    old.parent.mkdir()
    old.touch()
    os.utime(old, (0, 0))
    young = (
        folder / "sessions" / f"{atomic.TEMPORARY}1-b"
    )  # its writer may live as the session begins, and not at its end
    young.touch()
    os.utime(young, (time.time() - 5, time.time() - 5))
    (folder / "dropped").mkdir()
    (folder / "dropped" / "0.0.valid_0.1-1.abc").touch()
    assert conduct(files, monkeypatch).dropped == 1
    assert not old.exists() and not young.exists() and not list((folder / "attempts").rglob("valid*"))


def test_a_volume_that_is_read_only_at_the_end_does_not_undo_a_session(
    files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "/v/f")

    for name in ("sweep_again", "release"):
        monkeypatch.setattr(files, name, refuse)
    summary = conduct(files, monkeypatch)
    assert summary.complete and summary.exit_code == 0


def test_who_interrupts_a_session_does_not_wait_for_its_sweep(
    files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps: list[str] = []
    monkeypatch.setattr(files, "sweep_again", lambda session: sweeps.append("swept"))
    conduct(files, monkeypatch, patience=2)
    assert sweeps == []
    conduct(files, monkeypatch)
    assert sweeps == ["swept"]


def test_attempts_are_given_up_under_the_sessions_number(
    files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers: list[int] = []
    monkeypatch.setattr("coordinator.loop.Dispatch", lambda **fields: numbers.append(fields["session"]) or Quiet())
    files.begin()
    conduct(files, monkeypatch)
    assert numbers == [2]


def test_the_workers_are_told_twice_of_a_cancelled_session(
    files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time for the run that was about to start at the first; one that is still ending then counts once."""
    running = [["first", "slow"], ["slow", "late"]]
    app = FakeApp(
        ("worker@a", lambda question: {"runs": running.pop(0)}), ("worker@b", lambda question: {"error": "x"})
    )
    monkeypatch.setattr(session, "make_app", lambda url: app)
    monkeypatch.setattr(session, "check_broker", lambda app, where: None)
    began = files.begin()
    assert cancel(files, "redis://127.0.0.1:1/0") == 3
    assert files.is_cancelled(began)
    ((command, word), again) = app.asked
    assert (command, word["experiment"]) == ("scaffoldry_cancel", files.name) and word["session"] >= began
    assert again == (command, word)


def test_a_cancel_that_no_worker_hears_of_says_what_was_done(files: ExperimentFileManager) -> None:
    began = files.begin()
    with pytest.raises(BrokerUnavailable, match="does not answer") as caught:
        cancel(files, "redis://127.0.0.1:1/0")
    assert files.is_cancelled(began)
    (note,) = caught.value.__notes__
    assert note.startswith(f"{files} is marked as cancelled all the same") and note.endswith("every few seconds.")
    assert "until its worker sees the mark" in note, "for the workers look for it themselves"


def test_a_broker_that_fails_while_workers_are_told_is_no_bug(
    files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "check_broker", lambda app, where: None)
    with pytest.raises(BrokerUnavailable, match="does not answer"):
        cancel(files, "redis://127.0.0.1:1/0")


def test_a_session_that_was_cancelled_elsewhere_ends_without_a_worker(
    files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(session, "CANCEL_SECONDS", 0.0)
    monkeypatch.setattr(session, "check_broker", lambda app, where: None)
    monkeypatch.setattr(CeleryQueue, "look_around", lambda queue: ["worker@old is of another version."])
    monkeypatch.setattr(CeleryQueue, "send", lambda queue, job, attempt: files.cancel())
    talk = io.StringIO()
    reporter = JsonReporter(io.StringIO(), talk)
    opened: list[Any] = []
    monkeypatch.setattr(reporter, "queue_opened", opened.append)
    url = "redis://127.0.0.1:1/0"
    summary = run_session(files, reporter, data_dir=tmp_path, broker_url=url, concurrency=1, wait=True)
    assert (summary.interrupted, summary.exit_code) == (True, 130)
    assert "worker@old is of another version." in talk.getvalue()
    assert len(opened) == 1 and isinstance(opened[0].__self__, CeleryQueue)
