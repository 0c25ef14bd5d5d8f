"""The files beside a scaffold, run as a scaffold runs them: alone, in a process of their own."""

import ast
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.runtime import NAMES, read_runtime_files


@pytest.fixture
def scaffold_dir(tmp_path: Path) -> Path:
    for name, text in read_runtime_files().items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(scaffold_dir: Path, code: str, socket_path: Path) -> "subprocess.CompletedProcess[str]":
    environment = {"SCAFFOLDRY_SOCKET": str(socket_path), "SCAFFOLDRY_MODEL": "the-model", "PATH": os.defpath}
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(scaffold_dir)!r})\n{code}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)


def serve_once(path: Path, reply: Callable[[bytes], bytes]) -> "tuple[threading.Thread, list[bytes]]":
    """A one-connection server: ``reply`` gets head and body of the request."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    listener.settimeout(20)
    seen: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with listener, connection:
            data = b""
            while b"\r\n\r\n" not in data:
                data += connection.recv(65536)
            head, _, body = data.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            while len(body) < length:
                body += connection.recv(65536)
            seen.append(head + b"\r\n\r\n" + body)
            connection.sendall(reply(body))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread, seen


def ok(text: str) -> bytes:
    body = json.dumps({"choices": [{"message": {"content": text}}]}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def test_both_files_are_given() -> None:
    assert set(read_runtime_files()) == set(NAMES) == {"llm_executor.py", "llm_interfaces.py"}


def test_a_prompt_and_a_system_prompt_become_messages(scaffold_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "s"
    thread, seen = serve_once(path, lambda body: ok("né\u2028 ok"))
    done = run(
        scaffold_dir, "from llm_executor import execute_llm\nprint(ascii(execute_llm('häl\\ud800', 'be brief')))", path
    )
    thread.join(20)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ascii("né\u2028 ok")
    assert json.loads(seen[0].partition(b"\r\n\r\n")[2]) == {
        "model": "the-model",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "häl\ud800"}],
    }


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (b'HTTP/1.1 429 X\r\n\r\n{"error": {"message": "budget gone"}}', "The model call failed (429): budget gone"),
        (b"HTTP/1.1 200 OK\r\n\r\nnot json", "The model call failed (200): the answer is not one of the gateway's"),
        (b"HTTP/1.1 200 OK\r\n\r\n[]", "the answer is not one of the gateway's"),
        (b"", "The model call was cut off."),
        (b"garbage", "The model call was cut off."),
    ],
)
def test_every_failure_is_an_llm_error(scaffold_dir: Path, tmp_path: Path, reply: bytes, sentence: str) -> None:
    path = tmp_path / "s"
    thread, _ = serve_once(path, lambda body: reply)
    code = "from llm_executor import LLMError, execute_llm\ntry: execute_llm('x')\nexcept LLMError as e: print(e)"
    done = run(scaffold_dir, code, path)
    thread.join(20)
    assert sentence in done.stdout, done.stderr


def test_no_gateway_and_no_text(scaffold_dir: Path, tmp_path: Path) -> None:
    code = (
        "from llm_executor import LLMError, execute_llm\n"
        "for argument in ('x', 3):\n"
        "    try: execute_llm(argument)\n"
        "    except LLMError as e: print(isinstance(e, RuntimeError), e)\n"
    )
    lines = run(scaffold_dir, code, tmp_path / "nothing").stdout.splitlines()
    assert lines[0] == "True The model cannot be reached: No such file or directory."
    assert lines[1].startswith("True execute_llm takes texts")


def test_importing_loads_next_to_nothing(scaffold_dir: Path, tmp_path: Path) -> None:
    code = "before = set(sys.modules)\nimport llm_executor\nprint(sorted(set(sys.modules) - before))"
    loaded = ast.literal_eval(run(scaffold_dir, code, tmp_path / "s").stdout)
    assert loaded == ["llm_executor", "llm_interfaces"]


def test_they_parse_as_python_3_8() -> None:
    for name, text in read_runtime_files().items():
        ast.parse(text, name, feature_version=(3, 8))
