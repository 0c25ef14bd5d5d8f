"""A worker's name and how Celery is started."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import settings
from shared.errors import InvalidId, UsageError, VolumeUnavailable
from shared.settings import get_settings
from tests.conftest import ROOT, command_environment
from worker import service
from worker.names import own_name
from worker.sandbox.process import ProcessSandbox
from worker.service import _celery, reap


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SCAFFOLDRY_CACHE_DIR", str(tmp_path / "cache"))
    get_settings.cache_clear()
    yield tmp_path / "cache"
    get_settings.cache_clear()


@pytest.mark.parametrize("name", ["a/b", "../../x", "a\nb", "a\0b", "", "..", "a b", "x" * 65])
def test_what_is_no_name_touches_no_file(cache: Path, name: str) -> None:
    with pytest.raises(InvalidId, match="cannot name a worker"), own_name(name):
        pytest.fail("the name was taken")
    with pytest.raises(InvalidId, match="cannot name a worker"):
        reap(name, "process")
    assert not cache.exists()


def test_a_name_that_is_taken_gets_a_number_and_comes_back() -> None:
    for _ in range(2):
        with own_name("lab1.example") as first, own_name("lab1.example") as second:
            assert (first, second) == ("lab1.example", "lab1.example-2")


@pytest.mark.parametrize("quiet", [True, False])
def test_a_worker_of_a_session_says_only_what_went_wrong(quiet: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, object] = {}

    class Worker:
        exitcode = 3

        def __init__(self, **options: object) -> None:
            made.update(options)

        def start(self) -> None:
            made["started"] = True

    monkeypatch.setattr(service.app, "Worker", Worker, raising=False)
    assert _celery("lab1", get_settings(), quiet) == 3
    assert made["started"] and made["hostname"] == "worker@lab1" and made["quiet"] is quiet


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What a worker that starts asks for, in order; it is never Celery's turn."""
    found: list[str] = []
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("SCAFFOLDRY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SCAFFOLDRY_BROKER_URL", "redis://127.0.0.1:1/0")
    get_settings.cache_clear()
    monkeypatch.setattr(settings, "_overrides", [])
    for name in (
        "check_broker",
        "use_host_paths",
        "check_mounts",
        "_end_at_last",
        "drain_on_sigterm",
        "leave_connections",
    ):
        monkeypatch.setattr(service, name, lambda *_, name=name, **__: found.append(name))
    monkeypatch.setattr(service, "answers", lambda worker: bool(found.append(f"who is {worker}?")))
    monkeypatch.setattr(
        ProcessSandbox, "reap", lambda self, worker, own=False: found.append("reap all" if own else "reap") or 0
    )
    monkeypatch.setattr(service, "_celery", lambda *_, **__: found.append("serve") or 0)
    return found


def test_before_the_first_job(asked: list[str]) -> None:
    with pytest.raises(SystemExit):
        service.serve("lab2", 1, "process", None)
    before, after = asked[: asked.index("serve")], asked[asked.index("serve") + 1 :]
    assert after == ["reap all"], "what it made itself as well"
    assert before[:2] == ["check_broker", "use_host_paths"]
    assert sorted(before[2:4]) == ["check_mounts", "who is lab2?"], "both at once"
    assert before[4:] == ["reap", "leave_connections", "_end_at_last", "drain_on_sigterm"]


def test_a_worker_of_a_session_has_the_broker_to_itself(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_die_with", lambda parent: None)
    with pytest.raises(SystemExit):
        service.serve("lab2", 1, "process", 1)
    assert "who is lab2?" not in asked and "drain_on_sigterm" not in asked
    assert "check_mounts" in asked


def test_a_name_that_answers_is_anothers(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "answers", lambda worker: True)
    with pytest.raises(UsageError, match=r"A worker named lab2 listens on this broker already.*--name") as caught:
        service.serve("lab2", 1, "process", None)
    assert caught.value.exit_code == 2
    assert "reap" not in asked, "what the other has running stays"
    assert "serve" not in asked


def test_no_job_is_taken_where_the_engine_sees_other_directories(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(sandbox: object, worker: str) -> None:
        raise VolumeUnavailable("not the same")

    monkeypatch.setattr(service, "check_mounts", refuse)
    with pytest.raises(VolumeUnavailable, match="not the same"):
        service.serve("lab2", 1, "process", None)
    assert "serve" not in asked


def test_no_job_is_taken_without_a_data_directory(asked: list[str], tmp_path: Path) -> None:
    (tmp_path / "data").rmdir()
    with pytest.raises(VolumeUnavailable, match="does not exist on this host"):
        service.serve("lab2", 1, "process", None)
    assert "serve" not in asked


HANGING = """
import os, signal, sys, threading, time
from pathlib import Path
from billiard import Process
from celery.signals import worker_ready
from worker import service

def hang(*_):
    threading.Event().wait()

def clear():
    os.waitpid(child.pid, 0)  # what a child runs is not killed under it: it is gone before
    Path(sys.argv[1]).touch()

service._COLD_SECONDS = 0.1
child = Process(target=time.sleep, args=[600], daemon=True)
child.start()
signal.signal(signal.SIGQUIT, hang)
service._end_at_last(clear, int(sys.argv[2]) or None)
worker_ready.send(sender=None)
print(os.getpid(), flush=True)
while True:
    time.sleep(1)
"""


def test_told_to_end_at_once_it_ends_though_celery_hangs(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", HANGING, str(tmp_path / "cleared"), "0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=command_environment(), cwd=ROOT) as process:
        assert process.stdout is not None and process.stdout.readline()
        process.send_signal(signal.SIGQUIT)
        assert process.wait(60) == -signal.SIGKILL
    assert (tmp_path / "cleared").exists()


def test_it_ends_after_its_parent_whatever_celery_does(tmp_path: Path) -> None:
    parent = "import os, subprocess, sys; subprocess.Popen([*sys.argv[1:], str(os.getpid())]); os.read(0, 1)"
    arguments = [sys.executable, "-c", parent, sys.executable, "-c", HANGING, str(tmp_path / "cleared")]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdin=pipe, stdout=pipe, env=command_environment(), cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.kill()
        assert process.stdout.read() == b""  # the pipe's other end is closed by the last who has it
    assert (tmp_path / "cleared").exists()
