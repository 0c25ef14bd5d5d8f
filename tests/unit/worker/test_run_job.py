"""Running a job: what is committed, under which key, and what does not count."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.drafts import Draft
from shared.errors import HostTrouble, Superseded
from shared.file_manager import ExperimentFileManager
from shared.job_key import job_key
from shared.models import Job, RunResult
from tests import looping
from worker import execution, tasks
from worker.execution import run_job

CODE = looping.code(10)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExperimentFileManager:
    looping.install(monkeypatch)
    return looping.experiment(tmp_path, [CODE], proposer=None, loop={"repeats": 2})


@pytest.fixture
def job(files: ExperimentFileManager) -> Job:
    return Job(experiment=files.name, iteration=0, scaffold_id="0", run_type="valid_1")


def meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Have something happen while a program runs, the first time one does."""
    real, done = execution.run_sandboxed, []

    def running(*arguments: object) -> object:
        if not done:
            done.append(True)
            happens()
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(execution, "run_sandboxed", running)


def drafts(files: ExperimentFileManager) -> list[Path]:
    return [path for path in (Path(str(files)) / "attempts").rglob("*") if path.is_file()]


def log(files: ExperimentFileManager, job: Job) -> str:
    return files.read_log(job.iteration, job.scaffold_id, job.run_type)[0]


@pytest.mark.parametrize("run_type", ["valid_0", "valid_1"])
def test_a_result_has_the_key_that_anybody_can_compute(files: ExperimentFileManager, job: Job, run_type: str) -> None:
    job = job.model_copy(update={"run_type": run_type})
    result = run_job(files, job, 1, "w")
    assert result.key == job_key(files.load_metadata(), CODE, files.load_plan(0).runs[run_type], run_type)
    assert files.load_result(job) == result and drafts(files) == []


def test_a_repeat_has_another_key(files: ExperimentFileManager, job: Job) -> None:
    runs = [run_type for run_type, example in files.load_plan(0).runs.items() if example.id == "v100"]
    keys = {run_job(files, job.model_copy(update={"run_type": run_type}), 1, "w").key for run_type in runs}
    assert len(keys) == len(runs) == 2


def test_code_that_was_repaired_has_another_key(files: ExperimentFileManager, job: Job) -> None:
    first = run_job(files, job, 1, "w")
    scaffold = files.load_scaffold("0")
    files.save_scaffold("0", scaffold.model_copy(update={"code": CODE + "# mended\n"}))
    Path(str(files), "results/0/0/valid_1.json").unlink()
    assert run_job(files, job, 1, "w").key != first.key


def test_an_attempt_that_was_given_up_is_not_begun(files: ExperimentFileManager, job: Job) -> None:
    files.give_up(job, 2)
    with pytest.raises(Superseded):
        run_job(files, job, 2, "w")
    assert files.dropped_count() == 0 and drafts(files) == []
    assert run_job(files, job, 3, "w").attempt == 3
    assert run_job(files, job, 1, "w").attempt == 3, "what is committed is no secret"


def test_one_that_is_given_up_meanwhile_commits_nothing(
    files: ExperimentFileManager, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, lambda: files.give_up(job, 1))
    monkeypatch.setattr(tasks, "_experiment", lambda name: files)
    receipt = tasks._run(tasks.Message(job=job, attempt=1, session=1), "w")
    assert receipt.superseded and not receipt.status.counts and not receipt.is_failure
    assert files.load_result(job) is None and files.dropped_count() == 1 and drafts(files) == []
    assert log(files, job).endswith(f"=== finished: not counted. {Superseded()}\n")


def test_of_two_deliveries_the_second_answers_with_the_first_ones_result(
    files: ExperimentFileManager, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, lambda: run_job(files, job, 1, "first"))
    assert run_job(files, job, 1, "second").worker == "first"
    assert files.dropped_count() == 1 and drafts(files) == []
    assert log(files, job).endswith("not counted. The run was done twice, and the other result was there first.\n")


def test_a_result_that_the_volume_does_not_take_is_told_in_the_log(
    files: ExperimentFileManager, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(draft: Draft, result: RunResult) -> bool:
        raise OSError(errno.EROFS, "Read-only file system", "/volume/x/results/0/0/valid_1.json")

    monkeypatch.setattr(Draft, "commit", refuse)
    with pytest.raises(OSError, match="Read-only"):
        run_job(files, job, 1, "w")
    last = log(files, job).splitlines()[-1]
    assert last.startswith("=== finished: not counted. The result could not be committed: .../valid_1.json cannot be")


def test_a_scorer_whose_program_was_lost_leaves_a_closing_line(
    files: ExperimentFileManager, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: object) -> None:
        raise HostTrouble("The Docker engine went away.")

    monkeypatch.setattr(execution, "score_outcome", lose)
    with pytest.raises(HostTrouble):
        run_job(files, job, 1, "w")
    assert log(files, job).endswith("=== finished: not counted. The Docker engine went away.\n")
    assert drafts(files) == []
