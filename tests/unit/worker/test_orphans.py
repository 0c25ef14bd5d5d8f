"""Those that are left remove what killed processes leave."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from shared.errors import InfraError
from tests.conftest import ROOT, command_environment
from tests.e2e.conftest import wait_until
from worker import orphans
from worker.gateway import socket_dir
from worker.orphans import ChildMinder, persistently

WORKER = """
import sys, time
from pathlib import Path
from worker.orphans import leave_an_heir
mark = Path(sys.argv[1])
release = leave_an_heir(lambda: mark.write_text("cleared") or 0, (0.0,))
print("up", flush=True)
if sys.argv[2] == "ends":
    release()
else:
    time.sleep(300)
"""


def test_a_child_that_is_gone_is_noticed_once() -> None:
    cleared: list[bool] = []
    children = {1, 2}
    minder = ChildMinder(lambda: cleared.append(True), lambda: set(children))

    def tick() -> None:
        minder.tick()
        if minder._at_work is not None:
            minder._at_work.join(10)

    tick()
    assert cleared == []
    children.remove(1)
    children.add(3)
    tick()
    tick()
    assert cleared == [True]
    children.clear()
    tick()
    assert cleared == [True, True]


def test_what_a_child_had_only_begun_is_looked_for_again_within_a_minute() -> None:
    ticks: list[None] = []
    cleared: list[int] = []
    children = {1}
    minder = ChildMinder(lambda: cleared.append(len(ticks)), lambda: set(children))
    children.clear()
    while orphans._TICK * len(ticks) < 60:
        minder.tick()
        if minder._at_work is not None:
            minder._at_work.join(10)
        ticks.append(None)
    first, again = cleared
    assert orphans._TICK * (again - first) > socket_dir._SETTLED_SECONDS


def test_a_child_that_goes_while_the_engine_is_awaited_is_not_forgotten() -> None:
    went_on, cleared = threading.Event(), []
    children = {1, 2}
    minder = ChildMinder(lambda: cleared.append(went_on.wait(10)), lambda: set(children))
    for gone in (None, 1, 2):
        children.discard(gone)  # type: ignore[arg-type]
        minder.tick()
    assert minder._at_work is not None
    went_on.set()
    minder._at_work.join(10)
    minder.tick()
    minder._at_work.join(10)
    assert cleared == [True, True]


def test_an_engine_that_is_away_is_asked_again() -> None:
    answers = iter([InfraError("away"), InfraError("away"), 3])

    def reap() -> int:
        answer = next(answers)
        if isinstance(answer, InfraError):
            raise answer
        return answer

    assert persistently(reap, pause=0.0) == 3


@pytest.mark.parametrize(("end", "cleared"), [("ends", False), ("is killed", True)])
def test_an_heir_clears_up_after_a_worker_that_was_killed(tmp_path: Path, end: str, cleared: bool) -> None:
    """With all its process group; and it keeps nothing of the worker's open."""
    mark = tmp_path / "mark"
    command = [sys.executable, "-c", WORKER, str(mark), end]
    with subprocess.Popen(
        command, cwd=ROOT, env=command_environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        if end == "is killed":
            os.killpg(process.pid, signal.SIGKILL)
        assert process.stdout.read() == ""
    if cleared:
        wait_until(mark.exists, 30, "the heir's look")
    assert mark.exists() is cleared
