"""The worker's commands: how they end when something is wrong."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from shared.errors import SandboxUnavailable
from shared.settings import get_settings
from worker import __main__ as worker_main
from worker.sandbox import registry
from worker.sandbox.process import ProcessSandbox


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCAFFOLDRY_CACHE_DIR", str(tmp_path / "cache"))
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["worker", *arguments])
    try:
        return worker_main.main()
    except SystemExit as end:
        return int(end.code or 0)


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def check(self: ProcessSandbox) -> None:
        raise error

    monkeypatch.setattr(ProcessSandbox, "check", check)


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (SandboxUnavailable("No \x1b[2J engine."), 3, "No \\x1b[2J engine.\n"),
        (OSError(28, "No space left on device", "x"), 2, "The disk is full: x could not be written."),
        (KeyError("x"), 1, "This is a bug in Scaffoldry: KeyError: 'x'."),
    ],
)
def test_errors_are_sentences(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    home: Path,
    error: BaseException,
    code: int,
    sentence: str,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(home))
    fail_with(monkeypatch, error)
    assert ended(monkeypatch, "check", "--sandbox", "process") == code
    said = capsys.readouterr()
    assert (said.out, said.err.startswith(sentence)) == ("", True)
    assert "Traceback" not in said.err


def test_a_model_error_of_pydantic_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(home))

    def build(name: str) -> None:
        TypeAdapter(int).validate_python(name)

    monkeypatch.setattr(registry, "build_sandbox", build)
    assert ended(monkeypatch, "check", "--sandbox", "process") == 1
    assert capsys.readouterr().err.startswith("This is a bug in Scaffoldry: ValidationError: 1 validation error")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 0, ""),
        (("--model", "sim/echo"), 0, ""),
        (("--model", "sim/ecko"), 2, "did you mean 'sim/echo'?"),
        (("--model", "local/smollm2"), 3, "local/smollm2 cannot run here: "),
        (("--model", "anthropic/x"), 2, "set ANTHROPIC_API_KEY"),
        (("--model", "m", "--aliases", '{"m": {"model": "openai/x", "api_key_env": "MINE"}}'), 2, "set MINE"),
        (("--model", "m", "--aliases", '{"m": {"model": "openai/x", "base_url": "http://127.0.0.1:1"}}'), 0, ""),
    ],
)
def test_the_model_is_checked(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    assert ended(monkeypatch, "check", "--sandbox", "process", *arguments) == code
    said = capsys.readouterr()
    assert words in said.err
    assert code or json.loads(said.out) == {"sandbox": "process", "image": None}


def test_where_no_model_is_called_none_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ended(monkeypatch, "check", "--sandbox", "fake", "--model", "openai/x") == 0
