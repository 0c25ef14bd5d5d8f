"""A worker's name and how Celery is started."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import InvalidId
from shared.settings import get_settings
from tests.conftest import ROOT, command_environment
from worker.service import _arguments, own_name, reap


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
def test_a_worker_of_a_session_says_only_what_went_wrong(quiet: bool) -> None:
    words = _arguments("lab1", get_settings(), quiet)
    assert words[words.index("worker") :][:2] == ["worker", "--hostname=worker@lab1"]
    assert ("--quiet" in words) is quiet


HANGING = """
import os, signal, sys, threading, time
from pathlib import Path
from celery.signals import worker_ready
from worker import service

def hang(*_):
    threading.Event().wait()

service._COLD_SECONDS = 0.1
signal.signal(signal.SIGQUIT, hang)
service._end_at_last(lambda: Path(sys.argv[1]).touch(), int(sys.argv[2]) or None)
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
