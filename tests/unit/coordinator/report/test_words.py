"""Numbers and states in words."""

import shlex
import sys
from pathlib import Path

import pytest

import coordinator
from coordinator.report import words
from shared.models import Estimate, Status
from shared.settings import Settings


def test_every_status_has_words() -> None:
    assert set(words.STATUS_WORDS) == set(Status)
    assert len(set(words.STATUS_WORDS.values())) == len(Status)


def test_failures_come_in_order_of_their_number() -> None:
    assert words.failures({Status.OK: 9, Status.OOM: 1, Status.TIMEOUT: 12}) == "12 timed out, 1 out of memory"
    assert words.failures({Status.OK: 9, Status.OOM: 0}) == words.failures({}) == "-"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0.000"), (0.75, "0.750"), (-12.3456, "-12.346"), (1e308, "1e+308"), (0.00012, "0.00012")],
)
def test_number(value: float | None, text: str) -> None:
    assert words.number(value) == text


def test_interval() -> None:
    assert words.interval(Estimate(n=4, mean=0.5, stderr=0.2, ci95=(0.1, 0.9))) == "0.100 to 0.900"
    assert words.interval(Estimate(n=1, mean=0.5)) == "-"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1.0, "0 s"),
        (0.0, "0 s"),
        (0.42, "0.42 s"),
        (9.96, "10 s"),
        (59.7, "1 min"),
        (200.0, "3 min 20 s"),
        (7500.0, "2 h 5 min"),
        (273_600.0, "3 d 4 h"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(("usd", "text"), [(None, ""), (0.0, "$0.00"), (0.0123, "$0.0123"), (1234.5, "$1,234.50")])
def test_dollars(usd: float | None, text: str) -> None:
    assert words.dollars(usd) == text


def test_one_line_is_short_and_harmless() -> None:
    assert words.one_line("first\n\tsecond \x1b[2J\x9b1m") == "first second \\x1b[2J\\x9b1m"
    assert len(words.one_line("x" * 10**6, 80)) == 80


def test_folder_name() -> None:
    assert words.folder_name("scaffolds/vote") == words.folder_name("scaffolds/vote/") == "vote"
    assert words.folder_name(None) == ""
    assert "\x1b" not in words.folder_name("a/\x1b[31m")


def test_commands_can_be_pasted() -> None:
    assert words.command("ls", "my experiments/$x") == "scaffoldry ls 'my experiments/$x'"
    assert shlex.split(words.command("ls", "a'b c"))[-1] == "a'b c"


def test_commands_begin_as_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCAFFOLDRY_COMMAND", "docker-compose run --rm coordinator")
    monkeypatch.setattr(words, "get_settings", Settings)
    assert words.command("ls", "my d") == "docker-compose run --rm coordinator ls 'my d'"


@pytest.mark.parametrize(
    ("typed", "on_path", "shown"),
    [
        ("scaffoldry", True, "scaffoldry"),
        (".venv/bin/scaffoldry", True, "scaffoldry"),
        (".venv/bin/scaffoldry", False, ".venv/bin/scaffoldry"),
        ("./.venv/bin/scaffoldry", False, "./.venv/bin/scaffoldry"),
        ("other/scaffoldry", True, "other/scaffoldry"),
        (str(Path(coordinator.__path__[0]) / "__main__.py"), True, "/usr/bin/python3 -m coordinator"),
        ("notebook.py", True, "scaffoldry"),
        ("", False, "scaffoldry"),
    ],
)
def test_commands_name_the_program_as_the_shell_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, on_path: bool, shown: str
) -> None:
    for folder in (".venv/bin", "other"):
        script = tmp_path / folder / "scaffoldry"
        script.parent.mkdir(parents=True)
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / ".venv/bin") if on_path else str(tmp_path))
    # The kernel gives a script the path that the shell found it by.
    monkeypatch.setattr(sys, "argv", [str(tmp_path / ".venv/bin/scaffoldry") if typed == "scaffoldry" else typed])
    monkeypatch.setattr(sys, "orig_argv", ["/usr/bin/python3", "-m", "coordinator"])
    assert words.command("ls", "d") == f"{shown} ls d"
