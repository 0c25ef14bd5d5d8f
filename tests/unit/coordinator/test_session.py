"""A session over a queue whose jobs are committed as they are sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from coordinator import session
from coordinator.dispatch import JobQueue
from coordinator.report.base import Summary
from coordinator.report.json_report import JsonReporter
from coordinator.session import run_session
from shared import atomic
from shared.file_manager import ExperimentFileManager
from shared.models import Example, ExperimentMetadata, ExperimentSpec, Job, Plan, Receipt, RunResult, Status

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

    def spy(data: bytes, path: Path) -> dict[str, Any]:
        found.append(path.name)
        return unseal(data, path)

    monkeypatch.setattr(atomic, "unseal", spy)
    return found


def conduct(files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch, patience: int = -1) -> Summary:
    @contextmanager
    def workers(*_: object) -> Iterator[CommittingQueue]:
        yield CommittingQueue(files, patience)

    monkeypatch.setattr(session, "_workers", workers)
    with open("/dev/null", "w") as nowhere:
        reporter = JsonReporter(nowhere, nowhere)
        return run_session(files, reporter, broker_url=None, concurrency=1, wait=False)


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
