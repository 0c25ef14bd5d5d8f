"""One coordinator at a time: who comes second is told who was first, and what a killed one held is free."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.conducting import ConductorLock
from shared.errors import AlreadyConducted
from tests.conftest import command_environment

HOLD = """
import subprocess, sys, time
from pathlib import Path
from shared.conducting import ConductorLock
lock = ConductorLock(Path(sys.argv[1]))
lock.take()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "coordinator.lock"


@pytest.fixture
def other(path: Path) -> Iterator["tuple[subprocess.Popen[str], int]"]:
    """A process that holds the lock, and the pid of a child of it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], env=command_environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        yield process, child
    finally:
        os.kill(child, signal.SIGKILL)
        process.kill()
        process.communicate()


def test_the_second_is_refused_with_the_firsts_host_and_pid_and_changes_nothing(path: Path, other) -> None:
    before = path.read_bytes(), path.stat().st_mtime_ns
    host = os.uname().nodename
    for hold in (ConductorLock(path).held, ConductorLock(path).held_if_there):
        with pytest.raises(AlreadyConducted) as caught, hold():
            pytest.fail("it was held by two")
        assert caught.value.exit_code == 2
        for word in (f"process {other[0].pid} of ", f" on {host} ", f"`scaffoldry cancel {path.parent}`"):
            assert word in str(caught.value)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert json.loads(before[0])["pid"] == other[0].pid
    assert f"process {other[0].pid} of " in str(ConductorLock(path).holder())


def test_a_killed_holders_lock_is_free_though_its_child_lives_on(path: Path, other) -> None:
    process, child = other
    process.kill()
    process.wait()
    os.kill(child, 0)
    assert ConductorLock(path).holder() is None
    with ConductorLock(path).held():
        assert json.loads(path.read_bytes())["pid"] == os.getpid()


def test_the_lock_is_given_back_however_its_context_ends(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), ConductorLock(path).held():
        assert ConductorLock(path).holder() is not None
        raise ZeroDivisionError
    assert ConductorLock(path).holder() is None
    assert path.read_bytes() == b"", "nobody is named who does not hold it"


def test_where_it_was_never_held_it_is_made_only_when_it_is_taken(path: Path) -> None:
    with ConductorLock(path).held_if_there() as lock:
        assert not path.exists()
        lock.take()
        with pytest.raises(AlreadyConducted):
            ConductorLock(path).take()
    with ConductorLock(path).held_if_there(), pytest.raises(AlreadyConducted):
        ConductorLock(path).take()


def test_a_holder_who_has_not_given_its_name_is_no_trouble(path: Path, other) -> None:
    path.write_text("{")
    with pytest.raises(AlreadyConducted, match="another process, which has not given its name yet"):
        ConductorLock(path).take()
