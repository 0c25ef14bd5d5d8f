"""What a killed worker's processes leave is found by their scratch directory."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from shared.maker import is_running, lives, this_process
from worker.sandbox import strays
from worker.sandbox.process import ProcessSandbox

GONE = "1.1-"
"""A maker that is no more: another process has its id."""


@pytest.fixture(autouse=True)
def own_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def left_by(worker: str, maker: str) -> "tuple[Path, subprocess.Popen[bytes]]":
    """A scratch directory, and a process of a session of its own that carries it."""
    scratch = Path(tempfile.mkdtemp(prefix=strays.prefix(worker) + maker))
    environment = {"PATH": "/usr/bin:/bin", strays.MARK: str(scratch)}
    return scratch, subprocess.Popen(["sleep", "300"], env=environment, start_new_session=True)


def test_a_workers_strays_are_killed_and_nobody_elses() -> None:
    ours, process = left_by("w1", GONE)
    theirs, other = left_by("w1.5", GONE)
    with other, process:
        assert ProcessSandbox().reap("w1") == 1
        assert process.wait(10) == -9
        assert not ours.exists()
        assert theirs.exists() and other.poll() is None
        assert ProcessSandbox().reap("w1.5") == 1
        assert other.wait(10) == -9
    assert ProcessSandbox().reap("w1") == 0


def test_what_a_living_process_made_is_left_alone() -> None:
    orphan, process = left_by("w1", GONE)
    ours, other = left_by("w1", f"{this_process()}-")
    with other, process:
        assert ProcessSandbox().reap("w1") == 1
        assert process.wait(10) == -9 and not orphan.exists()
        assert ours.exists() and other.poll() is None
        assert ProcessSandbox().reap("w1", own=True) == 1
        assert other.wait(10) == -9 and not ours.exists()


def test_a_process_that_has_ended_does_not_live() -> None:
    with subprocess.Popen(["sleep", "300"]) as process:
        name = f"{process.pid}.{Path(f'/proc/{process.pid}/stat').read_text().split()[21]}"
        assert lives(name) and lives(this_process()) and lives("") and is_running(process.pid)
        assert not lives(f"{process.pid}.1"), "an id that is used again"
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not lives(name) and not is_running(process.pid), "though nobody has waited for it"
    assert not lives(name) and not is_running(process.pid)


def test_a_workers_name_makes_no_path() -> None:
    assert "/" not in strays.prefix("../../etc\0")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / f"{strays.prefix('w')}x").symlink_to(kept)
    assert ProcessSandbox().reap("w") == 0
    assert kept.exists()
