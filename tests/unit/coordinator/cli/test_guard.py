"""Every error's sentence and exit code."""

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from coordinator.cli.guard import describe, guarded
from shared.errors import BrokerUnavailable, Cancelled, CorruptFile, NoWorker, ScaffoldryError, UsageError
from shared.file_manager import ExperimentFileManager
from shared.settings import get_settings


@pytest.mark.parametrize(
    ("error", "sentence", "code"),
    [
        (UsageError("That cannot be."), "That cannot be.", 2),
        (CorruptFile("x.json is not JSON."), "x.json is not JSON.", 2),
        (NoWorker(), "No worker is listening.", 3),
        (BrokerUnavailable("No broker."), "No broker.", 3),
        (Cancelled(), "The experiment was cancelled.", 130),
        (ScaffoldryError("Odd."), "Odd.", 1),
        (KeyboardInterrupt(), "", 130),
        (FileNotFoundError("There is no log of valid_1."), "There is no log of valid_1.", 2),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.txt"), "a.txt does not exist.", 2),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "d"), "d: Is a directory.", 2),
        (
            OSError(errno.ENOSPC, "No space left on device", "results/1.json"),
            "The disk is full: results/1.json could not be written. Free some space, then try again.",
            2,
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "The disk is full: a file could not be written. Free some space, then try again.",
            2,
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "d"),
            "d: permission denied. Change its owner or its mode, or choose another place.",
            2,
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "d"),
            "d cannot be written: its file system is read-only. Choose another --data-dir, or remount it.",
            2,
        ),
        (
            ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
            "Something that Scaffoldry needs does not answer: [Errno 111] Connection refused. "
            "`scaffoldry doctor` says what.",
            3,
        ),
    ],
)
def test_sentences(error: BaseException, sentence: str, code: int) -> None:
    assert describe(error) == (sentence, code)


def ended(command: Callable[[], int | None]) -> int:
    with pytest.raises(typer.Exit) as caught:
        guarded(command)()
    return caught.value.exit_code


def failing(error: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise error

    return command


def test_the_code_a_command_returns_is_its_exit_code() -> None:
    assert [ended(lambda: 0), ended(lambda: 1), ended(lambda: None)] == [0, 1, 0]


def test_notes_come_after_the_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    error = NoWorker("No worker \x1b[2J.")
    error.add_note("Experiment: d")
    assert ended(failing(error)) == 3
    assert capsys.readouterr() == ("", "No worker \\x1b[2J.\nExperiment: d\n")


def test_an_interruption_says_only_its_notes(capsys: pytest.CaptureFixture[str]) -> None:
    error = KeyboardInterrupt()
    error.add_note("Experiment: d")
    assert ended(failing(error)) == 130
    assert capsys.readouterr().err == "Experiment: d\n"


def test_a_bug_is_called_one_and_its_traceback_is_kept(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    assert ended(failing(KeyError("missing"))) == 1
    (kept,) = home.glob("scaffoldry-bug-*.txt")
    said = capsys.readouterr().err
    assert said.startswith("This is a bug in Scaffoldry: KeyError: 'missing'. Please report it with ")
    assert str(kept) in said and "Traceback" not in said
    assert "Traceback" in kept.read_text()


def test_a_bug_shows_its_traceback_when_asked(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCAFFOLDRY_DEBUG", "1")
    get_settings.cache_clear()
    assert ended(failing(KeyError("missing"))) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_bug_where_no_file_can_be_written_still_says_what_it_is(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(home / "nowhere"))
    assert ended(failing(KeyError("missing"))) == 1
    assert "KeyError: 'missing'. Set SCAFFOLDRY_DEBUG=1 to see where" in capsys.readouterr().err


def test_a_reader_that_goes_away_ends_it_quietly(experiment: ExperimentFileManager) -> None:
    command = [sys.executable, "-m", "coordinator", "show", str(experiment), "0"]
    root = str(Path(__file__).parents[4])
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"PYTHONPATH": root})
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), said) == (141, b"")


def test_a_reader_that_goes_away_is_no_reason_to_keep_the_notes_back(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = BrokenPipeError(errno.EPIPE, "Broken pipe")
    error.add_note("Experiment: d")
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert ended(failing(error)) == 141
    assert capfd.readouterr().err == "Experiment: d\n"


def test_an_error_that_nobody_hears_still_has_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        assert ended(failing(NoWorker())) == 3
