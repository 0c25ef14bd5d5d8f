"""What the launcher changes is changed, in a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from coordinator.selftest.launch import CHANGES, command, main
from coordinator.selftest.mutations import MUTATIONS, problem, replace
from shared.errors import Unavailable
from tests.conftest import command_environment

WRITING = """
import sys
from pathlib import Path
from shared import atomic
for name in sys.argv[1:]:
    atomic.write_file(Path(name), b"x")
"""
COMMITTING = """
import sys
from pathlib import Path
from shared import atomic
print([atomic.write_first(Path(sys.argv[1]), data) for data in (b"a", b"b")])
"""


def launched(tmp_path: Path, code: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run code as a module of the name ``subject`` through the launcher."""
    (tmp_path / "subject.py").write_text(code)
    path = f"{command_environment()['PYTHONPATH']}{os.pathsep}{tmp_path}"
    words = ("-m", "coordinator.selftest.launch", *words)
    return subprocess.run(
        [sys.executable, *words], env=command_environment(PYTHONPATH=path), capture_output=True, text=True
    )


def test_it_dies_between_the_temporary_file_and_its_name(tmp_path: Path) -> None:
    done = launched(tmp_path, WRITING, "die-at-publish=2", "--", "subject", str(tmp_path / "a"), str(tmp_path / "b"))
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "a").read_bytes() == b"x"
    assert not (tmp_path / "b").exists()
    assert len(list(tmp_path.glob(".tmp-*"))) == 1


def test_without_the_link_the_second_commit_wins(tmp_path: Path) -> None:
    result = tmp_path / "results" / "valid_0.json"
    link = "from coordinator.selftest.mutations import without_link; without_link()\n"
    done = launched(tmp_path, link + COMMITTING, "--", "subject", str(result))
    assert (done.stdout, result.read_bytes()) == ("[True, True]\n", b"b"), done.stderr
    assert list(result.parent.iterdir()) == [result]
    done = launched(tmp_path, COMMITTING, "--", "subject", str(tmp_path / "results" / "valid_1.json"))
    assert done.stdout == "[True, False]\n"


def test_nothing_is_changed_where_nothing_is_asked_for() -> None:
    assert command((), "worker", "run") == [sys.executable, "-m", "worker", "run"]
    assert command(("deliver=3",), "worker", "run")[2:] == [
        "coordinator.selftest.launch",
        "deliver=3",
        "--",
        "worker",
        "run",
    ]


def test_only_workers_are_made_deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    changed: list[str] = []
    for name in ("deaf", "clock"):
        monkeypatch.setitem(CHANGES, name, changed.append)
    monkeypatch.setattr("runpy.run_module", lambda *args, **kwargs: None)
    monkeypatch.setattr(sys, "argv", sys.argv)
    main(["deaf=marker", "clock=file", "--", "coordinator", "run"])
    assert changed == ["file"]
    main(["deaf=marker", "clock=file", "--", "worker", "run"])
    assert changed == ["file", "marker", "file"]


def test_a_mechanism_that_is_not_there_cannot_be_switched_off() -> None:
    assert problem("cap") is None
    with pytest.raises(Unavailable, match=r"has no shared\.atomic:nothing\.at\.all"):
        replace("shared.atomic:nothing.at.all", None)


def test_each_mutation_has_rows() -> None:
    assert set(MUTATIONS) == {"fence", "link", "cap", "watchdog", "lock"}
    assert all(mutation.rows for mutation in MUTATIONS.values())
