"""Servers and helpers for whole experiments."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.queue import make_app
from tests.conftest import ROOT, command_environment, scaffoldry

WORKER = f"lab-{os.getpid()}"
"""Several of these may be tested at once on one machine."""


@pytest.fixture(scope="session")
def smollm2() -> str:
    """The small local model, its weights fetched if they have to be."""
    done = scaffoldry("models", "pull", "local/smollm2", cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stderr
    return "local/smollm2"


@contextmanager
def worker(broker_url: str, data_dir: Path, *arguments: str, name: str = WORKER) -> Iterator["subprocess.Popen[bytes]"]:
    """A ``scaffoldry worker`` that listens; its children and containers are gone afterwards."""
    command = [sys.executable, "-m", "coordinator", "worker", "--broker-url", broker_url, "--name", name, *arguments]
    process = subprocess.Popen(
        command,
        env=command_environment(SCAFFOLDRY_DATA_DIR=str(data_dir)),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for_worker(broker_url, name, process)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait_for_worker(broker_url: str, name: str, process: "subprocess.Popen[bytes]") -> None:
    """Return once the worker of that name answers."""
    app = make_app(broker_url)
    for _ in range(60):
        assert process.poll() is None, f"the worker ended with {process.returncode}"
        if any(f"worker@{name}" in reply for reply in app.control.ping(timeout=1.0)):
            return
    pytest.fail(f"worker {name} did not answer")


def only_experiment(data_dir: Path) -> Path:
    """The one experiment in a data directory."""
    (found,) = (path for path in data_dir.iterdir() if (path / "metadata.json").exists())
    return found


def scoring_bytes(experiment: Path) -> dict[str, bytes]:
    """Every file of ``scoring/``."""
    return {path.name: path.read_bytes() for path in sorted((experiment / "scoring").iterdir())}


def result_files(experiment: Path) -> list[Path]:
    """Every committed result."""
    return sorted((experiment / "results").rglob("[!.]*.json"))


def means_by_hand(experiment: Path) -> dict[str, dict[str, float]]:
    """What ``scores_0.json`` must say, from the results alone."""
    scores: dict[str, dict[str, list[float]]] = {"train": {}, "valid": {}}
    for path in result_files(experiment):
        result = json.loads(path.read_text())
        if result["status"] != "infra_error":
            split = result["run_type"].split("_")[0]
            scores[split].setdefault(result["scaffold_id"], []).append(result["score"])
    return {split: {id: sum(s) / len(s) for id, s in by_id.items()} for split, by_id in scores.items()}


def containers(label: str) -> list[str]:
    """Ids of the containers, running or not, with a label: the list alone, as one of them may go meanwhile."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import docker; print([c['Id'] for c in docker.from_env().api.containers("
            f"all=True, filters={{'label': {label!r}}})])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return re.findall(r"[0-9a-f]{64}", done.stdout)


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Return once ``condition`` holds; the test fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds:g} s still not: {what}")
        time.sleep(0.05)


def refused(done: "subprocess.CompletedProcess[str]", code: int, *words: str) -> None:
    """The command said what is wrong in a few sentences, and nothing else."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr and "bug in Scaffoldry" not in done.stderr
    assert 0 < len(done.stderr.splitlines()) < 8
    for word in words:
        assert word in done.stderr


def write_experiment(
    folder: Path, scaffolds: dict[str, str], examples: list[dict[str, object]], **spec: object
) -> Path:
    """A spec with those scaffolds (name -> code) and examples; its path. ``spec`` overrides the defaults."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.jsonl").write_text("".join(json.dumps(example) + "\n" for example in examples))
    for name, code in scaffolds.items():
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "scaffold.py").write_text(code)
    whole: dict[str, object] = {
        "name": "test",
        "data": {"valid": {"path": "data.jsonl"}},
        "scorer": {"name": "exact", "field": "answer"},
        "scaffolds": list(scaffolds),
        "executor": {"model": "sim/echo"},
        **spec,
    }
    (folder / "spec.yaml").write_text(json.dumps(whole))
    return folder / "spec.yaml"
