"""A command line in an empty folder, and an experiment made by hand."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from coordinator.cli.app import make_app
from shared.file_manager import ExperimentFileManager
from shared.models import (
    Example,
    ExperimentMetadata,
    ExperimentSpec,
    Job,
    Plan,
    RunResult,
    ScaffoldMetadata,
    ScaffoldResult,
    Status,
    Usage,
)
from shared.settings import get_settings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
Invoke = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, and no settings but the defaults."""
    monkeypatch.chdir(tmp_path)
    for field in get_settings().__class__.model_fields:
        monkeypatch.delenv(f"SCAFFOLDRY_{field.upper()}", raising=False)
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


@pytest.fixture
def invoke(home: Path) -> Invoke:
    """Call the command line; the result has ``exit_code``, ``stdout`` and ``stderr``."""

    def call(*arguments: object, **environment: str) -> Result:
        get_settings.cache_clear()
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(make_app(), words, env=environment, prog_name="scaffoldry")

    return call


def result(job: Job, status: Status = Status.OK, score: float | None = 1.0, **fields: object) -> RunResult:
    """A result of two seconds, three tokens and the answer 4."""
    split, _, index = job.run_type.partition("_")
    values = {
        **job.model_dump(),
        "example_id": {"valid": index, "test": f"t{index}"}.get(split, "a"),
        "status": status,
        "score": score,
        "output": "4",
        "execution_time": 2.0,
        "usage": Usage(calls=1, input_tokens=2, output_tokens=1),
        "worker": "host",
        "started_at": NOON,
        "finished_at": NOON + timedelta(seconds=2),
        **fields,
    }
    return RunResult.model_validate(values)


@pytest.fixture
def experiment(home: Path) -> ExperimentFileManager:
    """``experiments/demo_20260101-120000``: scaffold 0 is done, 1 lacks a run and crashed in one, 2 has not begun."""
    files = ExperimentFileManager.create(Path("experiments"), "demo", NOON)
    for scaffold_id, name in (("0", "direct"), ("1", "vote"), ("2", "tool")):
        code = f"# {name} \x1b[31m\ndef process_input(text):\n    return '4'\n"
        metadata = ScaffoldMetadata(created_at=NOON, source=f"scaffolds/{name}")
        files.save_scaffold(scaffold_id, ScaffoldResult(code=code, metadata=metadata))
    spec = ExperimentSpec.model_validate(
        {
            "name": "demo",
            "task": "Add.",
            "data": {"valid": {"path": "valid.jsonl"}},
            "scorer": {"name": "exact", "field": "answer"},
            "scaffolds": ["scaffolds/direct", "scaffolds/vote", "scaffolds/tool"],
            "executor": {"model": "sim/echo"},
            "sandbox": "process",
        }
    )
    runs = {f"valid_{index}": Example(id=str(index), input="2+2", fields={"answer": "4"}) for index in range(3)}
    files.save_plan(Plan(experiment=files.name, iteration=0, runs=runs, assigned={"valid": ("0", "1", "2")}))

    def job(scaffold_id: str, index: int) -> Job:
        return Job(experiment=files.name, iteration=0, scaffold_id=scaffold_id, run_type=f"valid_{index}")

    for index in range(3):
        files.commit_result(result(job("0", index), score=float(index > 0)))
    files.commit_result(result(job("1", 0), output="\x1b[2J4"))
    crash = {"output": None, "error_message": "ValueError: \x1b]0;x\x07", "exit_code": 1}
    files.commit_result(result(job("1", 1), Status.SCAFFOLD_ERROR, 0.0, **crash))
    lost = {"output": None, "error_message": "the engine went away", "attempt": 3}
    files.quarantine(result(job("1", 2), Status.INFRA_ERROR, None, **lost))
    files.save_metadata(ExperimentMetadata(experiment=files.name, created_at=NOON, spec=spec))
    return files


@pytest.fixture
def evolved(home: Path) -> ExperimentFileManager:
    """``experiments/evolved_20260101-120000``, two iterations on 20 validation examples.

    Of the first generation 0 solves 10 and 1 solves 4. In iteration 1 the child 0-0 solves 12 and 5 of 8 test examples;
    its first draft failed its trial. 0-1 was skipped. All that 0-0-0 was to do is given up.
    """
    files = ExperimentFileManager.create(Path("experiments"), "evolved", NOON)
    given = {"created_at": NOON}
    failed = {"model": "sim/echo", "prompt": "Write.", "response": "def", "problem": None, "usage": {"calls": 1}}
    good = {**failed, "usage": {"calls": 1, "input_tokens": 1000, "output_tokens": 234, "usd": 0.5}}
    no_code = {**failed, "problem": "The answer has no code block."}
    notes = {
        "0-0": {"proposer": "llm", "attempts": [failed, good]},
        "0-1": {"proposer": "llm", "attempts": [no_code], "skipped": "Traceback\nSyntaxError: \x1b[31minvalid syntax"},
        "0-0-0": {"proposer": "llm", "attempts": [good]},
    }
    for scaffold_id in ("0", "1", "0-0", "0-1", "0-0-0"):
        parent = scaffold_id.rpartition("-")[0]
        child = {"parent_scaffold_id": parent, "iteration": 1, "notes": notes.get(scaffold_id), "model": "sim/echo"}
        code = f"NAME = '{scaffold_id}'\n\ndef process_input(text):\n    return '4'\n"
        metadata = ScaffoldMetadata.model_validate({**given, **(child if parent else {})})
        files.save_scaffold(scaffold_id, ScaffoldResult(code=code, metadata=metadata))
    _save_evolved_plans(files)

    def job(iteration: int, scaffold_id: str, run_type: str) -> Job:
        return Job(experiment=files.name, iteration=iteration, scaffold_id=scaffold_id, run_type=run_type)

    for iteration, scaffold_id, solved in ((0, "0", 10), (0, "1", 4), (1, "0-0", 12)):
        for index in range(20):
            files.commit_result(result(job(iteration, scaffold_id, f"valid_{index}"), score=float(index < solved)))
    for index in range(8):
        files.commit_result(result(job(1, "0-0", f"test_{index}"), score=float(index < 5)))
    crash = {"output": None, "error_message": "NameError: x"}
    files.commit_result(result(job(1, "0-0", "preflight_0"), Status.SCAFFOLD_ERROR, None, **crash))
    files.commit_result(result(job(1, "0-0", "preflight_1"), score=None))
    for index in range(20):
        files.quarantine(result(job(1, "0-0-0", f"valid_{index}"), Status.INFRA_ERROR, None, attempt=3))
    spec = ExperimentSpec.model_validate(
        {
            "name": "evolved",
            "data": {"train": {"path": "t.jsonl"}, "valid": {"path": "v.jsonl"}, "test": {"path": "e.jsonl"}},
            "scorer": {"name": "exact", "field": "answer"},
            "scaffolds": ["scaffolds/direct", "scaffolds/vote"],
        }
    )
    files.save_metadata(ExperimentMetadata(experiment=files.name, created_at=NOON, spec=spec))
    return files


def _save_evolved_plans(files: ExperimentFileManager) -> None:
    valid = {f"valid_{index}": Example(id=str(index), input="2+2", fields={"answer": "4"}) for index in range(20)}
    test = {f"test_{index}": Example(id=f"t{index}", input="2+2", fields={"answer": "4"}) for index in range(8)}
    trials = {f"preflight_{index}": Example(id="a", input="1+1", fields={"answer": "2"}) for index in range(3)}
    first = {"valid": ("0", "1")}
    second = {"train": ("0",), "valid": ("0-0", "0-0-0"), "test": ("0-0",)}
    files.save_plan(Plan(experiment=files.name, iteration=0, runs=valid, assigned=first))
    files.save_plan(Plan(experiment=files.name, iteration=1, runs={**valid, **trials, **test}, assigned=second))
