"""What a worker answers when it is asked."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.worker import state as celery_state

import shared
from shared.errors import SandboxUnavailable
from shared.models.worker_state import WorkerState
from shared.queue import job_queue, make_app
from shared.settings import get_settings
from shared.volume import VolumeProbe, volume_id
from worker import cancelling, doctor, probe
from worker.cancelled import CancelledSessions
from worker.cancelling import Cancels
from worker.pausing import SharedSentence

VOLUME = "0" * 16
QUEUE = job_queue(VOLUME, "docker")
JOB = {"experiment": "exp", "iteration": 0, "scaffold_id": "0", "run_type": "valid_0"}


class Request:
    """A run under way as Celery knows it."""

    def __init__(self, job: Any, session: Any = 1, began: float | None = None) -> None:
        self.kwargs = {"job": job, "attempt": 1, "session": session}
        self.id = f"run of {session}"
        self.time_start = began
        self.killed = False

    def terminate(self, pool: object, signal: str) -> None:
        self.killed = True


class State:
    """Of the worker that a command is for."""

    def __init__(self, queue: str = QUEUE) -> None:
        self.app = make_app(None, queue)
        self.consumer = self
        self.pool = None


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SCAFFOLDRY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SCAFFOLDRY_WORKER_NAME", "lab1")
    monkeypatch.setattr(probe, "cancelled_sessions", CancelledSessions())
    monkeypatch.setattr(cancelling, "cancels", Cancels())
    get_settings.cache_clear()
    yield tmp_path / "data"
    get_settings.cache_clear()


@pytest.fixture
def active(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    requests: list[Request] = []
    monkeypatch.setattr(celery_state, "active_requests", requests)
    return requests


def ask(**question: Any) -> WorkerState:
    return WorkerState.model_validate(probe.scaffoldry_state(State(), **question))


def test_who_it_is(data_dir: Path, active: list[Request], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1e9)
    state = ask()
    assert (state.name, state.version, state.queue) == ("lab1", shared.__version__, QUEUE)
    assert (state.volume, state.volume_problem) == (volume_id(data_dir), None)
    assert state.instance and state.clock is not None and state.clock.timestamp() == 1e9


def test_what_it_finds_on_its_host_is_told_without_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "engine_report", fail)
    docker, *others = probe.scaffoldry_checks(State())["findings"]
    assert (docker["check"], docker["ok"], docker["detail"]) == ("docker", False, "No engine at .../docker.sock.")
    assert others and all(one["check"].startswith("model ") for one in others)
    monkeypatch.setenv("SCAFFOLDRY_SANDBOX", "process")
    get_settings.cache_clear()
    assert probe.scaffoldry_checks(State())["findings"] == others, "Docker is nothing to it"


def test_an_engine_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(doctor, "engine_report", lambda: answered.wait(30) and fail())
    monkeypatch.setattr(probe, "CHECK_SECONDS", 0.05)
    (late,) = probe.scaffoldry_checks(State())["findings"]
    answered.set()
    assert late["ok"] is False and "could not be looked at within 0.05 s" in late["detail"]


def fail() -> None:
    raise SandboxUnavailable("No engine at /run/docker.sock.")


def test_why_it_takes_no_job(active: list[Request], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "trouble", SharedSentence())
    assert ask().trouble is None
    probe.trouble.write("No engine.")
    assert ask().trouble == "No engine."


def test_what_it_runs_the_longest_first(active: list[Request]) -> None:
    began = time.time()
    active += [Request(JOB, began=began), Request({**JOB, "run_type": "valid_1"}, began=began - 500)]
    active += [Request({"experiment": "../x"}), Request(JOB, began=began + 3600)]
    jobs = ask().jobs
    assert [one.job.run_type for one in jobs] == ["valid_1", "valid_0", "valid_0"]
    assert jobs[0].seconds >= 500 and jobs[-1].seconds == 0


def test_a_probe_is_answered_on_the_volume(data_dir: Path, active: list[Request]) -> None:
    VolumeProbe(data_dir, "1").ask("token")
    assert ask(probe="1", token="token").volume_problem is None
    problem = ask(probe="1", token="other").volume_problem or ""
    assert "another token" in problem and str(data_dir) not in problem
    assert VolumeProbe(data_dir, "1").end() == ["lab1"]


@pytest.mark.parametrize("name", ["../probe", "/etc", "a\0b", ""])
def test_a_probe_with_a_hostile_name_is_refused(data_dir: Path, active: list[Request], name: str) -> None:
    assert "cannot name an experiment" in (ask(probe=name, token="t").volume_problem or "")
    assert [path.name for path in data_dir.iterdir()] == [".volume"]


def test_a_data_directory_that_cannot_be_used_is_told(data_dir: Path, active: list[Request]) -> None:
    data_dir.write_text("a file")
    state = ask()
    assert state.volume is None and state.volume_problem


def test_a_cancel_ends_the_runs_of_the_sessions_so_far_and_no_others(active: list[Request]) -> None:
    active += [Request(JOB, 1), Request(JOB, 2), Request(JOB, 3), Request({**JOB, "experiment": "other"}, 1)]
    active += [Request(None), Request(JOB, None)]
    assert probe.scaffoldry_cancel(State(), volume=VOLUME, experiment="exp", session=2) == {
        "runs": ["run of 1", "run of 2"]
    }
    assert [one.killed for one in active] == [True, True, False, False, False, False]
    remembered = probe.cancelled_sessions
    assert ("exp", 1) in remembered and ("exp", 2) in remembered
    assert ("exp", 3) not in remembered and ("other", 1) not in remembered


def test_a_cancel_of_an_experiment_of_that_name_on_another_volume(active: list[Request]) -> None:
    active += [Request(JOB, 1)]
    assert probe.scaffoldry_cancel(State(), volume="1" * 16, experiment="exp", session=2) == {"runs": []}
    assert not active[0].killed and ("exp", 1) not in probe.cancelled_sessions


def test_a_cancel_of_an_absurd_session_is_done_at_once(active: list[Request]) -> None:
    assert probe.scaffoldry_cancel(State(), volume=VOLUME, experiment="exp", session=10**15) == {"runs": []}
    assert ("exp", 10**15) in probe.cancelled_sessions
