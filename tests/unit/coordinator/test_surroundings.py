"""What a scaffold finds around it, asked of those who run it."""

import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from coordinator import surroundings
from coordinator.surroundings import find_surroundings
from shared.errors import BrokerUnavailable, NoWorker, SandboxUnavailable
from shared.models.spec import ExecutorSpec
from shared.settings import get_settings
from tests.lab import FakeApp, worker
from worker import probe

EXECUTOR = ExecutorSpec(timeout=7, memory=64 * 1024**2, max_calls=3)


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SCAFFOLDRY_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def with_workers(monkeypatch: pytest.MonkeyPatch, data_dir: Path, *replies: dict[str, Any]) -> FakeApp:
    """Workers 0, 1, ... that see the data directory and look into their sandbox with those replies."""

    def answering(number: int, reply: dict[str, Any]) -> tuple[str, Any]:
        node, state = worker(str(number), data_dir)
        return node, lambda question: state({}) if question["command"] == "scaffoldry_state" else reply

    app = FakeApp(*(answering(number, reply) for number, reply in enumerate(replies)))
    monkeypatch.setattr(surroundings, "make_app", lambda url: app)
    monkeypatch.setattr(surroundings, "check_broker", lambda app, where: None)
    monkeypatch.setattr(surroundings, "_here", lambda sandbox, data_dir, quiet: None)
    return app


def test_this_machines_sandbox(tmp_path: Path) -> None:
    found = find_surroundings("process", EXECUTOR, data_dir=tmp_path, broker_url=None)
    assert found.python == platform.python_version()
    assert f"pytest {version('pytest')}" in found.packages
    assert (found.timeout, found.memory, found.max_calls) == (7, 64 * 1024**2, 3)


def test_a_sandbox_in_which_nothing_runs(tmp_path: Path) -> None:
    found = find_surroundings("fake", EXECUTOR, data_dir=tmp_path, broker_url=None)
    assert (found.python, found.packages) == (platform.python_version(), ())


def test_no_sandbox_and_no_broker(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="'none' could not be asked which Python it has"):
        find_surroundings("none", EXECUTOR, data_dir=tmp_path, broker_url=None)


def test_a_worker_is_asked_where_there_is_no_sandbox_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numpy = {"python": "3.12.1", "packages": ["numpy 2.1.0"]}
    lab = with_workers(monkeypatch, tmp_path, {"error": "No engine."}, numpy, numpy)
    found = find_surroundings("docker", EXECUTOR, data_dir=tmp_path, broker_url="redis://127.0.0.1:1/0")
    assert (found.python, found.packages) == ("3.12.1", ("numpy 2.1.0",))
    question = ("scaffoldry_surroundings", {"sandbox": "docker"})
    assert lab.asked[1:] == [question, question], "the third need not be asked"


def test_a_worker_that_will_not_run_the_scaffolds_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = with_workers(monkeypatch, tmp_path / "elsewhere", {"python": "3.12.1"})
    with pytest.raises(NoWorker, match="worker@0 does not share the data directory"):
        find_surroundings("docker", EXECUTOR, data_dir=tmp_path, broker_url="redis://127.0.0.1:1/0")
    assert {command for command, _ in lab.asked} == {"scaffoldry_state"}


def test_no_worker_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_workers(monkeypatch, tmp_path)
    with pytest.raises(NoWorker, match=r"no worker on redis://127\.0\.0\.1:1/0 answers"):
        find_surroundings("docker", EXECUTOR, data_dir=tmp_path, broker_url="redis://:secret@127.0.0.1:1/0")


def test_a_worker_without_a_sandbox_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_workers(monkeypatch, tmp_path, {"error": "No engine."})
    with pytest.raises(SandboxUnavailable, match=r"The worker 0 could not look into its sandbox: No engine"):
        find_surroundings("docker", EXECUTOR, data_dir=tmp_path, broker_url="redis://127.0.0.1:1/0")


def test_a_broker_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(BrokerUnavailable, match=r"redis://127\.0\.0\.1:1/0 does not answer"):
        find_surroundings("none", EXECUTOR, data_dir=tmp_path, broker_url="redis://127.0.0.1:1/0")


def test_what_a_worker_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCAFFOLDRY_SANDBOX", "process")
    get_settings.cache_clear()
    assert probe.scaffoldry_surroundings(None, sandbox="process")["python"] == platform.python_version()


@pytest.mark.parametrize("name", ["process", "x"])
def test_a_worker_looks_into_no_sandbox_but_its_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it change, for one question, what its engine calls the directories."""
    monkeypatch.setenv("SCAFFOLDRY_HOST_DATA_DIR", "/srv/lab")
    get_settings.cache_clear()
    before = get_settings()
    assert probe.scaffoldry_surroundings(None, sandbox=name) == {"error": "This worker has the sandbox 'docker' alone."}
    assert get_settings() is before
