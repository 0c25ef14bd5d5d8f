"""What a killed worker's processes leave is found by their scratch directory."""

import subprocess
import tempfile
from pathlib import Path

import pytest

from worker.sandbox import strays
from worker.sandbox.process import ProcessSandbox


@pytest.fixture(autouse=True)
def own_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def left_by(worker: str) -> "tuple[Path, subprocess.Popen[bytes]]":
    """A scratch directory, and a process of a session of its own that carries it."""
    scratch = Path(tempfile.mkdtemp(prefix=strays.prefix(worker)))
    environment = {"PATH": "/usr/bin:/bin", strays.MARK: str(scratch)}
    return scratch, subprocess.Popen(["sleep", "300"], env=environment, start_new_session=True)


def test_a_workers_strays_are_killed_and_nobody_elses() -> None:
    ours, process = left_by("w1")
    theirs, other = left_by("w1.5")
    with other, process:
        assert ProcessSandbox().reap("w1") == 1
        assert process.wait(10) == -9
        assert not ours.exists()
        assert theirs.exists() and other.poll() is None
        assert ProcessSandbox().reap("w1.5") == 1
        assert other.wait(10) == -9
    assert ProcessSandbox().reap("w1") == 0


def test_a_workers_name_makes_no_path() -> None:
    assert "/" not in strays.prefix("../../etc\0")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / f"{strays.prefix('w')}x").symlink_to(kept)
    assert ProcessSandbox().reap("w") == 0
    assert kept.exists()
