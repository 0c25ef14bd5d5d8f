"""``workers`` over workers that answer as the test says."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import shared
from shared import queue
from tests.lab import FakeApp, worker

URL = ("--broker-url", "redis://:secret@127.0.0.1:1/0")
JOB = {"experiment": "gsm8k_1", "iteration": 3, "scaffold_id": "2-0", "run_type": "valid_12"}


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(*workers: Any) -> None:
        monkeypatch.setattr(queue, "make_app", lambda url: FakeApp(*workers))
        monkeypatch.setattr(queue, "check_broker", lambda app, where: None)

    return use


def test_who_listens_and_what_each_runs(invoke, install: Any, tmp_path: Path) -> None:
    busy = worker("lab1", tmp_path, slots=4, jobs=[{"job": JOB, "seconds": 125.0}])
    install(worker("lab2", tmp_path / "elsewhere"), busy)
    found = invoke("workers", *URL, "--data-dir", tmp_path)
    assert found.exit_code == 0
    head, _, first, second, _, runs, _, run = found.stdout.splitlines()
    assert head.split() == ["worker", "host", "version", "sandbox", "slots", "running", "usable"]
    assert (
        first.split()[::2] == ["lab1", shared.__version__, "4", "yes"]
        and first.endswith("yes")
        and second.endswith("no")
    )
    assert runs.split() == ["worker", "experiment", "iteration", "scaffold", "run", "since", "for"]
    assert run.split()[:5] == ["lab1", "gsm8k_1", "3", "2-0", "valid_12"] and run.endswith("2 min 5 s")
    assert "worker@lab2 does not share the data directory" in found.stderr


def test_as_json(invoke, install: Any, tmp_path: Path) -> None:
    busy = worker("lab1", tmp_path, ahead=3600, jobs=[{"job": JOB, "seconds": 2.0}])
    install(busy, worker("old", tmp_path, version="0.0.9"))
    lab1, old = map(json.loads, invoke("workers", *URL, "--data-dir", tmp_path, "--json").stdout.splitlines())
    assert (lab1["worker"], lab1["slots"], lab1["problem"]) == ("lab1", 2, None)
    (job,) = lab1["jobs"]
    assert {key: job[key] for key in JOB} == JOB and job["seconds"] == 2.0
    assert "runs Scaffoldry 0.0.9" in old["problem"]


@pytest.fixture
def half_past_five(monkeypatch: pytest.MonkeyPatch) -> Iterator[timedelta]:
    """The machine's time zone: neither UTC nor whole hours away from it. How far it is ahead."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "XYZ-05:30")
        time.tzset()
        yield timedelta(hours=5, minutes=30)
    time.tzset()


def test_since_when_is_told_by_our_clock_whatever_time_the_worker_has(
    invoke, install: Any, tmp_path: Path, half_past_five: timedelta
) -> None:
    install(worker("lab1", tmp_path, ahead=3600, jobs=[{"job": JOB, "seconds": 125.0}]))
    earliest = (datetime.now(UTC) - timedelta(seconds=125)).replace(microsecond=0)
    (line,) = invoke("workers", *URL, "--data-dir", tmp_path, "--json").stdout.splitlines()
    *_, run = invoke("workers", *URL, "--data-dir", tmp_path).stdout.splitlines()
    latest = datetime.now(UTC) - timedelta(seconds=125)
    (job,) = json.loads(line)["jobs"]
    assert earliest <= datetime.fromisoformat(job["since"]) <= latest
    possible = [earliest + timedelta(seconds=n) for n in range(int((latest - earliest).total_seconds()) + 1)]
    assert run.split()[5] in [f"{since + half_past_five:%H:%M:%S}" for since in possible]


def test_nobody_listens(invoke, install: Any, tmp_path: Path) -> None:
    install()
    found = invoke("workers", *URL, "--data-dir", tmp_path)
    assert (found.exit_code, found.stdout) == (3, "")
    line = "scaffoldry worker --broker-url redis://USER:PASSWORD@127.0.0.1:1/0"
    assert f"No worker is listening on redis://127.0.0.1:1/0. Start one: {line}\n" in found.stderr
    assert not list(tmp_path.rglob(".volume")), "it only looks"


def test_without_a_broker_there_is_nobody_to_ask(invoke) -> None:
    found = invoke("workers")
    assert found.exit_code == 2 and "There is no broker to ask" in found.stderr
