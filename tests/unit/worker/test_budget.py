"""Runs of an experiment with a budget: what is refused says nothing about the program."""

import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.budget import Budget
from shared.errors import OutOfBudget
from shared.file_manager import ExperimentFileManager
from shared.models import (
    Example,
    ExperimentMetadata,
    ExperimentSpec,
    Job,
    Labels,
    Limits,
    Plan,
    RunOutcome,
    RunRequest,
    ScaffoldMetadata,
    ScaffoldMount,
    ScaffoldResult,
    Status,
)
from shared.settings import get_settings
from worker import execution, tasks
from worker.execution import run_job
from worker.sandbox.base import OnOutput, Sandbox, SandboxSession

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class AskingSandbox(Sandbox):
    """Its one program asks the model ``calls`` times over the gateway and answers with the statuses of the replies."""

    name = "asking"

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self.runs = 0

    def check(self) -> None:
        """Nothing is needed."""

    def open(self, scaffold: ScaffoldMount, limits: Limits, labels: Labels) -> SandboxSession:
        self.runs += 1
        return AskingSession(self.calls)

    def reap(self, worker: str) -> int:
        return 0


class AskingSession(SandboxSession):
    def __init__(self, calls: int) -> None:
        self._calls = calls

    def run(self, request: RunRequest, on_output: OnOutput | None = None) -> RunOutcome:
        assert request.gateway_dir is not None
        statuses = [ask(request.gateway_dir / "gateway.sock") for _ in range(self._calls)]
        return RunOutcome(status=Status.OK, output=" ".join(map(str, statuses)), exit_code=0)

    def close(self) -> None:
        """Nothing was made."""


def ask(path: Path) -> int:
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(20)
        client.connect(str(path))
        client.sendall(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        reply = b""
        while chunk := client.recv(65536):
            reply += chunk
    return int(reply.split()[1])


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SCAFFOLDRY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SCAFFOLDRY_SANDBOX", "fake")
    get_settings.cache_clear()
    tasks._experiment.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> AskingSandbox:
    asking = AskingSandbox(calls=2)
    monkeypatch.setitem(execution._sandboxes, "fake", asking)
    return asking


Experiment = Callable[..., ExperimentFileManager]


@pytest.fixture
def experiment(data_dir: Path) -> Experiment:
    def create(**budget: Any) -> ExperimentFileManager:
        files = ExperimentFileManager.create(data_dir, "bounded", NOW)
        spec = ExperimentSpec.model_validate(
            {
                "name": "bounded",
                "data": {"valid": {"path": "v.jsonl"}},
                "scorer": {"name": "exact", "field": "answer"},
                "scaffolds": ("s",),
                "executor": {"model": "sim/echo"},
                "budget": budget,
                "sandbox": "fake",
            }
        )
        files.save_scaffold("0", ScaffoldResult(code="x = 1\n", metadata=ScaffoldMetadata(created_at=NOW)))
        runs = {f"valid_{n}": Example(id=str(n), input="x", fields={"answer": "200 200"}) for n in range(5)}
        runs |= {"preflight_0": Example(id="t", input="x", fields={"answer": "200 200"})}
        files.save_plan(
            Plan(experiment=files.name, iteration=0, runs=runs, assigned={"valid": ("0",), "preflight": ("0",)})
        )
        files.save_metadata(ExperimentMetadata(experiment=files.name, created_at=NOW, spec=spec, data_digests={}))
        return files

    return create


def job(files: ExperimentFileManager, run_type: str) -> Job:
    return Job(experiment=files.name, iteration=0, scaffold_id="0", run_type=run_type)


def test_runs_spend_until_no_further_one_starts(sandbox: AskingSandbox, experiment: Experiment) -> None:
    files = experiment(llm_calls=4)
    for number in range(2):
        assert run_job(files, job(files, f"valid_{number}"), 1, "w").score == 1.0
    with pytest.raises(OutOfBudget, match=r"4 model calls \(budget\.llm_calls\)"):
        run_job(files, job(files, "valid_2"), 1, "w")
    assert sandbox.runs == 2, "the third was not started"
    assert files.committed_run_types(0, "0") == ["valid_0", "valid_1"]


def test_a_run_whose_call_was_refused_is_not_committed(
    sandbox: AskingSandbox, experiment: Experiment, data_dir: Path
) -> None:
    files = experiment(llm_calls=3)
    run_job(files, job(files, "valid_0"), 1, "w")
    receipt = tasks._run(tasks.Message(job=job(files, "valid_1"), attempt=1, session=1), "w")
    assert receipt.out_of_budget and not receipt.status.counts and receipt.score is None
    assert receipt.error_message == "The budget of 3 model calls (budget.llm_calls) is used up."
    assert sandbox.runs == 2
    assert files.committed_run_types(0, "0") == ["valid_0"] and files.quarantined_run_types(0, "0") == []
    assert Budget(files, files.load_metadata().spec.budget).spent().calls == 3
    log, _ = files.read_log(0, "0", "valid_1")
    assert "model call 2: 0 tokens in, 0 out" in log and "used up. (429)" in log
    assert log.endswith("=== finished: not counted. The budget of 3 model calls (budget.llm_calls) is used up.\n")


def test_what_is_committed_is_found_though_the_budget_is_used_up(
    sandbox: AskingSandbox, experiment: Experiment
) -> None:
    files = experiment(llm_calls=2)
    first = run_job(files, job(files, "valid_0"), 1, "w")
    assert run_job(files, job(files, "valid_0"), 2, "w") == first


def test_a_trial_costs_nothing(sandbox: AskingSandbox, experiment: Experiment) -> None:
    files = experiment(llm_calls=1)
    run_job(files, job(files, "preflight_0"), 1, "w")
    assert Budget(files, files.load_metadata().spec.budget).spent().calls == 0


def test_the_hours_that_sessions_have_noted_stop_a_start(sandbox: AskingSandbox, experiment: Experiment) -> None:
    files = experiment(hours=1)
    run_job(files, job(files, "valid_0"), 1, "w")
    Budget(files, files.load_metadata().spec.budget).add_time(3600)
    with pytest.raises(OutOfBudget, match=r"budget\.hours"):
        run_job(files, job(files, "valid_1"), 1, "w")
    assert sandbox.runs == 1


def test_without_a_budget_nothing_is_counted(sandbox: AskingSandbox, experiment: Experiment, data_dir: Path) -> None:
    files = experiment()
    assert run_job(files, job(files, "valid_0"), 1, "w").score == 1.0
    assert [path.name for path in (data_dir / files.name).glob("budget*")] == []
