"""run, resume, worker, score, cancel, doctor, image and models; the workers' side is replaced at its seam."""

import gc
import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordinator import doctor, session, worker_tools
from coordinator.aggregate import aggregate_all
from coordinator.cli.run import interruptible
from coordinator.experiment import Prepared
from coordinator.report.base import Reporter
from coordinator.session import summarize
from shared import queue
from shared.errors import NoWorker
from shared.file_manager import ExperimentFileManager
from shared.models import Finding, Job, Status

SPEC = """
name: demo
data:
  valid: {path: valid.jsonl, input: question}
  train: {path: train.jsonl, input: question}
scorer: {name: exact, field: answer}
scaffolds: [scaffolds/direct, scaffolds/vote]
executor: {model: sim/echo}
loop: {train_per_scaffold: 1}
sandbox: process
"""


@pytest.fixture
def spec(home: Path) -> Path:
    """A spec of 2 scaffolds on 3 validation examples and one of training."""
    for split, count in (("valid", 3), ("train", 2)):
        lines = [json.dumps({"question": f"{split} {index}", "answer": "4"}) for index in range(count)]
        (home / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    for name in ("direct", "vote"):
        (home / "scaffolds" / name).mkdir(parents=True)
        (home / "scaffolds" / name / "scaffold.py").write_text("def process_input(text):\n    return '4'\n")
    (home / "spec.yaml").write_text(SPEC)
    return home / "spec.yaml"


class Workers:
    """Stands for ``python -m worker``: keeps what was asked, and answers as told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.environment: dict[str, str] = {}
        self.code = 0
        self.answer = '{"sandbox": "process", "image": null}'

    def call(
        self, *arguments: str, capture: bool = False, quiet: bool = False, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        self.asked.append(arguments)
        return subprocess.CompletedProcess(arguments, self.code, self.answer if capture else None)

    def become(self, *arguments: str, **environment: str) -> None:
        self.asked.append(arguments)
        self.environment = environment


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    found = Workers()
    monkeypatch.setattr(worker_tools, "call_worker", found.call)
    monkeypatch.setattr(worker_tools, "become_worker", found.become)
    return found


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> "Callable[[Callable[[], None]], list[dict[str, Any]]]":
    """Replace the session by one that calls ``what``; the list holds how each was called."""

    def install(what: Callable[[], None]) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []

        def run_session(files: ExperimentFileManager, reporter: Reporter, **options: Any) -> session.Summary:
            calls.append({"files": files, **options})
            reporter.iteration_started(files.load_plan(0))
            what()
            summary = summarize(files, aggregate_all(files), interrupted=False, stopped=None, seconds=1.0)
            reporter.finished(summary)
            return summary

        monkeypatch.setattr(session, "run_session", run_session)
        return calls

    return install


def fail_with(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def the_experiment() -> Path:
    (found,) = Path("experiments").iterdir()
    return found


def test_dry_run_shows_the_spec_and_the_number_of_runs(invoke, spec: Path, home: Path) -> None:
    found = invoke("run", spec, "--dry-run", "--set", "executor.timeout=7", "--name", "other")
    assert found.exit_code == 0
    assert found.stderr.splitlines() == [
        "8 runs: 6 for the first generation, 2 for training.",
        "If each run makes one model call, with its input as the prompt and an answer of full length:",
        "  executor sim/echo: 8 calls, 16 tokens in, 16 out, about $0.00.",
        "Nothing was run or written.",
    ]
    assert "name: other" in found.stdout and "timeout: 7" in found.stdout
    (home / "resolved.yaml").write_text(found.stdout)
    assert invoke("run", "resolved.yaml", "--dry-run").stdout == found.stdout, "what it shows is a spec itself"
    record = json.loads(invoke("run", spec, "--dry-run", "--json").stdout)
    assert (record["event"], record["runs"], record["calls"], record["usd"]) == ("dry_run", 8, 8, 0.0)
    assert [(phase["phase"], phase["runs"]) for phase in record["phases"]] == [
        ("the first generation", 6),
        ("training", 2),
    ]
    assert not (home / "experiments").exists()


def test_run_makes_the_experiment_and_conducts_it(invoke, spec: Path, workers: Workers, sessions) -> None:
    calls = sessions(lambda: None)
    found = invoke("run", spec, "--concurrency", "3", "--no-wait", "--set", "executor.timeout=7")
    assert found.exit_code == 1, "nothing was run, so it is not complete"
    directory = the_experiment()
    assert workers.asked == [("check", "--sandbox", "process", "--json", "--model", "sim/echo", "--aliases", "{}")]
    (call,) = calls
    assert str(call["files"]) == str(directory) and call["files"].load_metadata().spec.executor.timeout == 7
    assert (call["broker_url"], call["concurrency"], call["wait"]) == (None, 3, False)
    assert f"Experiment: {directory}" in found.stderr and f"scaffoldry resume {directory}" in found.stderr
    assert "direct" in found.stdout and "vote" in found.stdout


def test_the_datasets_are_let_go_before_the_runs(invoke, spec: Path, workers: Workers, sessions) -> None:
    alive: list[int] = []

    def count() -> None:
        gc.collect()
        alive.append(sum(isinstance(one, Prepared) for one in gc.get_objects()))

    sessions(count)
    invoke("run", spec)
    assert alive == [0]


@pytest.mark.parametrize("name", ["2024", "true", "null", "1e3", "0x10", "[a"])
def test_a_name_is_a_name_whatever_it_reads_like(invoke, spec: Path, workers: Workers, sessions, name: str) -> None:
    calls = sessions(lambda: None)
    found = invoke("run", spec, "--name", name)
    if name == "[a":
        assert found.exit_code == 2 and "cannot name an experiment" in found.stderr
        return
    files = calls[0]["files"]
    assert files.load_metadata().spec.name == name and files.name.startswith(f"{name}_")
    invoke("resume", the_experiment())
    assert len(calls) == 2, "the name is no change of the spec"


@pytest.mark.parametrize("flower", ["", "http://lab1:5555"])
@pytest.mark.parametrize("broker", [[], ["--broker-url", "redis://lab1:6379/0"]])
def test_run_and_resume_say_where_flower_shows_the_experiment(
    invoke, spec: Path, workers: Workers, sessions, monkeypatch: pytest.MonkeyPatch, broker: list[str], flower: str
) -> None:
    sessions(lambda: None)
    monkeypatch.setattr(queue, "check_broker", lambda app, where: None)
    monkeypatch.setenv("SCAFFOLDRY_FLOWER_URL", flower)
    told = [invoke("run", spec, *broker), invoke("resume", the_experiment(), *broker)]
    link = f"Flower: http://lab1:5555/tasks?name=scaffoldry%20{the_experiment().name}.it"
    for found in told:
        assert found.stderr.splitlines().count(link) == (1 if broker and flower else 0), found.stderr
        assert "Flower" not in found.stderr.replace(link, "")


def test_the_link_is_an_event_too(
    invoke, spec: Path, workers: Workers, sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions(lambda: None)
    monkeypatch.setattr(queue, "check_broker", lambda app, where: None)
    monkeypatch.setenv("SCAFFOLDRY_FLOWER_URL", "http://lab1:5555")
    found = invoke("run", spec, "--broker-url", "redis://lab1:6379/0", "--json")
    event = json.loads(found.stdout.splitlines()[0])
    assert event["event"] == "message" and event["message"].startswith("Flower: http://lab1:5555/tasks?name=")


def test_an_address_of_flower_that_is_none_is_found_out_before_anything_is_written(
    invoke, spec: Path, home: Path, workers: Workers, sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = sessions(lambda: None)
    monkeypatch.setenv("SCAFFOLDRY_FLOWER_URL", "lab1:5555")
    found = invoke("run", spec, "--broker-url", "redis://127.0.0.1:1/0")
    assert (found.exit_code, found.stdout, calls) == (2, "", [])
    assert "SCAFFOLDRY_FLOWER_URL is 'lab1:5555'" in found.stderr
    assert not (home / "experiments").exists()


def test_a_port_for_metrics_that_is_taken_is_found_out_before_anything_is_written(
    invoke, spec: Path, home: Path, workers: Workers, sessions
) -> None:
    calls = sessions(lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for found in (invoke("run", spec, "--metrics-port", port), invoke("run", spec, SCAFFOLDRY_METRICS_PORT=port)):
            assert (found.exit_code, found.stdout, calls) == (2, "", [])
            assert f"127.0.0.1:{port}: Address already in use" in found.stderr
    assert not (home / "experiments").exists()


def test_metrics_are_shown_while_the_experiment_runs(invoke, spec: Path, workers: Workers, sessions) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/metrics"
    pages: list[str] = []

    def read() -> None:
        with urllib.request.urlopen(url, timeout=10) as answer:
            pages.append(answer.read().decode())

    sessions(read)
    found = invoke("run", spec, "--metrics-port", url.split(":")[2].removesuffix("/metrics"))
    assert f"Metrics: {url}" in found.stderr.splitlines()
    assert f'scaffoldry_jobs_outstanding{{experiment="{the_experiment().name}"}} 0.0\n' in pages[0]


@pytest.mark.parametrize("variable", [True, False])
def test_options_have_variables(invoke, spec: Path, workers: Workers, sessions, variable: bool) -> None:
    calls = sessions(lambda: None)
    options = {"DATA_DIR": "elsewhere", "CONCURRENCY": "5", "NO_WAIT": "1", "NAME": "named", "JSON": "1"}
    if variable:
        found = invoke("run", spec, **{f"SCAFFOLDRY_{name}": value for name, value in options.items()})
    else:
        words = ["--data-dir", "elsewhere", "--concurrency", "5", "--no-wait", "--name", "named", "--json"]
        found = invoke("run", spec, *words)
    (directory,) = Path("elsewhere").iterdir()
    assert directory.name.startswith("named_")
    assert (calls[0]["concurrency"], calls[0]["wait"]) == (5, False)
    assert [json.loads(line)["event"] for line in found.stdout.splitlines()] == ["iteration_started", "finished"]


def test_a_machine_that_cannot_run_is_found_out_before_anything_is_written(
    invoke, spec: Path, home: Path, workers: Workers, sessions
) -> None:
    calls = sessions(lambda: None)
    workers.code = 3
    found = invoke("run", spec)
    assert (found.exit_code, found.stdout, calls) == (3, "", [])
    assert found.stderr.startswith("Nothing was started.")
    assert not (home / "experiments").exists()


def test_a_broker_that_does_not_answer_is_found_out_before_anything_is_written(
    invoke, spec: Path, home: Path, workers: Workers, sessions
) -> None:
    calls = sessions(lambda: None)
    found = invoke("run", spec, "--broker-url", "redis://:hunter2@127.0.0.1:1/0")
    assert (found.exit_code, found.stdout, calls) == (3, "", [])
    assert "127.0.0.1:1" in found.stderr and "hunter2" not in found.stderr and "Traceback" not in found.stderr
    assert not (home / "experiments").exists()


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (NoWorker("No worker is listening."), 3, "No worker is listening."),
        (KeyboardInterrupt(), 130, ""),
        (OSError(28, "No space left on device", "results/x.json"), 2, "The disk is full: results/x.json"),
        (ZeroDivisionError("division by zero"), 1, "This is a bug in Scaffoldry: ZeroDivisionError"),
    ],
)
@pytest.mark.parametrize("command", ["run", "resume"])
def test_every_end_tells_where_it_is_and_how_to_go_on(
    invoke,
    spec: Path,
    workers: Workers,
    sessions,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    error: BaseException,
    code: int,
    sentence: str,
) -> None:
    monkeypatch.setenv("SCAFFOLDRY_DEBUG", "1")
    sessions(lambda: None)
    if command == "resume":
        invoke("run", spec)
    sessions(fail_with(error))
    found = invoke("run", spec) if command == "run" else invoke("resume", the_experiment())
    assert found.exit_code == code
    assert sentence in found.stderr
    directory = str(the_experiment()) if command == "run" else str(the_experiment().absolute())
    assert f"Experiment: {directory}\n" in found.stderr
    assert found.stderr.endswith(f"Go on with it; no finished run is repeated: scaffoldry resume {directory}\n")


def test_a_changed_spec_is_refused_with_the_difference(invoke, spec: Path, workers: Workers, sessions) -> None:
    calls = sessions(lambda: None)
    invoke("run", spec)
    spec.write_text(SPEC.replace("sim/echo", "sim/arithmetic"))
    found = invoke("resume", the_experiment())
    assert found.exit_code == 2 and len(calls) == 1
    assert "sim/echo" in found.stderr and "sim/arithmetic" in found.stderr
    invoke("resume", the_experiment(), "--ignore-spec-change")
    assert len(calls) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_interrupt(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL if number is not signal.SIGINT else signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), interruptible():
            os.kill(os.getpid(), number)
            signal.sigtimedwait([], 5)
        assert signal.getsignal(number) in (signal.SIG_DFL, signal.SIG_IGN), "as it was"
    finally:
        signal.signal(number, before)


def test_nohup_is_heeded() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_worker_becomes_the_worker(invoke, home: Path, workers: Workers) -> None:
    url = "redis://127.0.0.1:6379/0"
    invoke("worker", "--concurrency", "2", "--name", "w1", "--sandbox", "fake", SCAFFOLDRY_BROKER_URL=url)
    assert workers.asked == [("run", "--sandbox", "fake", "--concurrency", "2", "--name", "w1")]
    assert workers.environment == {
        "SCAFFOLDRY_BROKER_URL": url,
        "SCAFFOLDRY_DATA_DIR": str(home / "experiments"),
    }


@pytest.mark.parametrize("name", ["a/b", "a\nb", "a\0b", "", "..", ".a", "-a", "a b", "x" * 65])
def test_what_cannot_name_a_worker(invoke, workers: Workers, name: str) -> None:
    found = invoke("worker", "--broker-url", "redis://127.0.0.1:6379/0", f"--name={name}")
    assert (found.exit_code, found.stdout, workers.asked) == (2, "", [])
    assert "cannot name a worker" in found.stderr


def test_draining_is_the_workers_affair(invoke, workers: Workers) -> None:
    url = "redis://127.0.0.1:6379/0"
    invoke("worker", "--drain", "--name", "lab2", "--concurrency", "2", "--broker-url", url)
    invoke("worker", "--drain", "--broker-url", url)
    assert workers.asked == [("drain", "--name", "lab2"), ("drain",)]
    assert workers.environment["SCAFFOLDRY_BROKER_URL"] == url


def test_score_counts_what_changed_and_aggregates_anew(invoke, experiment, workers: Workers) -> None:
    workers.answer = '{"results": 5, "changed": 2, "scorer_errors": 0}'
    found = invoke("score", experiment)
    assert found.exit_code == 0
    assert workers.asked == [("score", str(Path(str(experiment)).absolute()), "--json")]
    assert "5 outputs scored again: 2 scores changed." in found.stderr
    assert experiment.load_scores(0)["valid"] == {"0": pytest.approx(2 / 3), "1": 0.5}
    record = json.loads(invoke("score", experiment, "--json").stdout)
    assert (record["event"], record["changed"]) == ("scored", 2)


def test_score_says_loudly_where_the_scorer_fails_still(invoke, experiment, workers: Workers) -> None:
    job = Job(experiment=experiment.name, iteration=0, scaffold_id="0", run_type="valid_0")
    broken = experiment.load_result(job).model_copy(update={"status": Status.SCORER_ERROR, "score": 0.0})
    experiment.replace_result(broken)
    workers.answer = '{"results": 5, "changed": 1, "scorer_errors": 1}'
    found = invoke("score", experiment)
    assert found.exit_code == 1
    assert "SCORER ERRORS: the scorer failed on 1 run, counted as 0." in found.stderr


def test_score_passes_the_workers_refusal_on(invoke, experiment, workers: Workers) -> None:
    workers.code, workers.answer = 2, ""
    assert invoke("score", experiment).exit_code == 2
    assert not (Path(str(experiment)) / "scoring").exists()


def test_cancel(invoke, experiment) -> None:
    found = invoke("cancel", experiment)
    assert (found.exit_code, found.stdout) == (0, "")
    assert experiment.is_cancelled()
    assert "0 runs under way killed" in found.stderr and "scaffoldry resume" in found.stderr


@pytest.mark.parametrize("code", [0, 2, 3])
@pytest.mark.parametrize(
    ("command", "asked"),
    [
        (("image", "build"), ("image", "build")),
        (("image", "info", "--json"), ("image", "info", "--json")),
        (("models", "list"), ("models", "list")),
        (("models", "pull", "local/smollm2"), ("models", "pull", "--", "local/smollm2")),
    ],
)
def test_the_workers_exit_code_is_ours(
    invoke, workers: Workers, command: tuple[str, ...], asked: tuple[str, ...], code: int
) -> None:
    workers.code = code
    assert invoke(*command).exit_code == code
    assert workers.asked == [asked]


def test_doctor_gives_the_fix_with_each_failure(
    invoke, home: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers.answer = json.dumps(
        [
            {"check": "docker", "ok": False, "detail": "no engine \x1b[2J answers", "fix": "make engine"},
            {"check": "key", "ok": None, "detail": "none set", "fix": "set one"},
        ]
    )
    broker = [Finding(check="broker", ok=True, detail="it answers")]
    monkeypatch.setattr(doctor, "doctor_workers", lambda url, data_dir: broker)
    found = invoke("doctor")
    assert found.exit_code == 3
    assert found.stdout.splitlines()[1:] == [
        f"ok      data directory: {home / 'experiments'} can be written",
        "FAILED  docker: no engine \\x1b[2J answers",
        "        fix: make engine",
        "?       key: none set",
        "        fix: set one",
        "ok      broker: it answers",
    ]
    assert found.stderr == "1 check failed.\n"
    rows = [json.loads(line) for line in invoke("doctor", "--json").stdout.splitlines()]
    assert [row["check"] for row in rows] == ["python", "data directory", "docker", "key", "broker"]


def test_doctor_survives_a_worker_that_does_not(invoke, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    workers.code, workers.answer = 1, "oops"
    monkeypatch.setattr(doctor, "doctor_workers", lambda url, data_dir: [])
    found = invoke("doctor")
    assert found.exit_code == 3
    assert "FAILED  worker: its checks ended with exit code 1 and no findings" in found.stdout


def test_doctor_on_a_healthy_machine(invoke, workers: Workers) -> None:
    workers.answer = "[]"
    found = invoke("doctor")
    assert (found.exit_code, found.stderr) == (0, "Nothing is amiss.\n")


def test_doctor_finds_a_data_directory_that_cannot_be_written(invoke, home: Path, workers: Workers) -> None:
    workers.answer = "[]"
    (home / "experiments").write_text("a file")
    found = invoke("doctor")
    assert found.exit_code == 3
    assert "FAILED  data directory: " in found.stdout
