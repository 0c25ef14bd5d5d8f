"""A finished experiment, as its coordinator left it, and another look at it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from coordinator.aggregate import aggregate_all
from coordinator.verify import Check, Flaw
from shared.file_manager import ExperimentFileManager
from shared.job_key import job_key
from shared.models import Plan, RunResult, Status
from tests import looping
from tests.unit.coordinator.cli.conftest import NOON

EXAMPLES = 4
Tree = dict[str, bytes]
Look = Callable[[], list[Flaw]]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExperimentFileManager:
    """Two scaffolds on four validation examples in one iteration; every second answer is right."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    data = {"valid": looping.numbers(0, EXAMPLES, "v")}
    made = looping.experiment(tmp_path / "experiments", [looping.code(5)] * 2, data=data, proposer=None)
    commit_all(made, made.load_plan(0))
    aggregate_all(made)
    return made


def commit_all(files: ExperimentFileManager, plan: Plan) -> None:
    """A result for each job of a plan; the output ends with a colour, as many do."""
    metadata = files.load_metadata()
    for number, job in enumerate(plan.jobs()):
        example, code = plan.runs[job.run_type], files.load_scaffold(job.scaffold_id).code
        files.commit_result(
            RunResult(
                **job.model_dump(),
                key=job_key(metadata, code, example, job.run_type),
                example_id=example.id,
                status=Status.OK,
                score=float(number // 2 % 2),
                output="4\x1b[0m",
                execution_time=1.25e-05,
                started_at=NOON,
                finished_at=NOON,
            )
        )


@pytest.fixture
def root(files: ExperimentFileManager) -> Path:
    return Path(str(files))


@pytest.fixture
def look(root: Path) -> Look:
    """All that is amiss, seen by a process that has nothing of it in memory."""
    return lambda: list(Check(ExperimentFileManager.open(root)).everything())


def tree(root: Path) -> Tree:
    """Every file of a directory."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
