"""What is left of a world is told from what somebody is at work on."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.selftest.engine import Container
from coordinator.selftest.left import (
    Attendance,
    Idle,
    all_files,
    idle_containers,
    is_at_work,
    living,
    orphaned_files,
    unused_files,
)
from shared.errors import SandboxUnavailable
from shared.maker import this_process

JOB = "e.it000.0.valid_3"


@pytest.fixture
def gone() -> str:
    """A process that is no more, as names carry it."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    process.wait()
    return f"{process.pid}.{started}"


@pytest.fixture
def draft(tmp_path: Path) -> Iterator[Path]:
    """A draft of the second attempt, which this process has open."""
    path = tmp_path / "attempts" / "valid_3.1-2.ab"
    path.parent.mkdir()
    with path.open("w"):
        yield path


def container(**changes: str) -> Container:
    whole = {"id": "0123456789abcdef", "job": JOB, "attempt": "2", "maker": this_process(), **changes}
    return Container(running=True, worker="w", **whole)


def test_makers_that_live_are_known(gone: str) -> None:
    assert living(this_process()) == os.getpid()
    assert [living(one) for one in (gone, f"{os.getpid()}.1", str(os.getpid()), "", "me")] == [None] * 5


def test_a_container_is_at_work_while_its_maker_has_its_attempts_draft_open(draft: Path, gone: str) -> None:
    assert is_at_work(container())
    idle = [container(attempt="1"), container(job="e.it000.0.valid_33"), container(maker=gone), container(job="probe")]
    assert not any(is_at_work(one) for one in idle)
    assert list(idle_containers([container(), *idle[:1]])) == [f"{JOB} (container 0123456789ab)"]


def test_a_container_of_a_run_that_has_ended_is_idle(draft: Path) -> None:
    assert is_at_work(container())
    draft.rename(draft.with_name("another"))
    assert not is_at_work(container())


def test_what_is_idle_for_more_than_a_minute_is_overdue() -> None:
    idle = Idle()
    idle.note({"short", "long"}, 0.0)
    idle.note({"long"}, 59.0)
    idle.note({"short", "long"}, 60.0)
    assert idle.overdue == set()
    idle.note({"short"}, 61.0)
    assert idle.overdue == set()
    idle.note({"short"}, 120.5)
    assert idle.overdue == {"short"}
    idle.note(set(), 130.0)
    assert idle.overdue == {"short"}


def test_while_the_engine_is_away_no_time_counts() -> None:
    idle = Idle()
    idle.note({"a"}, 0.0)
    idle.forgive()
    idle.note({"a"}, 100.0)
    idle.note({"a"}, 159.0)
    assert idle.overdue == set()


def test_an_engine_that_is_away_does_not_end_the_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coordinator.selftest.left._EVERY_SECONDS", 0.01)
    monkeypatch.setattr("coordinator.selftest.left.OUTLIVES_SECONDS", 0.0)
    looks = 0

    def look() -> list[str]:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise SandboxUnavailable("It is away.")
        return ["a"]

    attendance = Attendance(look)
    assert attendance.end() == ()
    attendance = Attendance(look)
    attendance.start()
    while looks < 5:
        attendance.join(0.01)
    assert attendance.end() == ("a",)


def test_files_of_processes_that_are_gone_are_orphaned(tmp_path: Path, gone: str) -> None:
    for name in (f"scaffoldry-w_run_{gone}-x", f"scaffoldry-w_run_{this_process()}-x", "scaffoldry-x"):
        (tmp_path / name).mkdir()
    assert list(orphaned_files(tmp_path)) == [f"tmp/scaffoldry-w_run_{gone}-x"]
    assert list(orphaned_files(tmp_path / "none")) == []


def test_what_living_processes_keep_is_in_use_and_no_run_is_there(tmp_path: Path, gone: str) -> None:
    me = this_process()
    left = [f"scaffoldry-{gone}-x", f"scaffoldry-w_run_{me}-x", "pymp-x", "scaffoldry-x"]
    for name in (*left, f"scaffoldry-{me}-x", "heard", "open"):
        (tmp_path / name).mkdir()
    with socket.socket(socket.AF_UNIX) as server, (tmp_path / "open" / "file").open("w"):
        server.bind(str(tmp_path / "heard" / "s"))
        server.listen()
        assert unused_files(tmp_path) == [f"tmp/{name}" for name in sorted(left)]
    assert len(all_files(tmp_path)) == 7
    assert unused_files(tmp_path / "none") == all_files(tmp_path / "none") == []
