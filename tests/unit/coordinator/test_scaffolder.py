"""The process that asks models, from the coordinator's side."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from coordinator import scaffolder
from coordinator.scaffolder import WorkerClient
from shared.errors import ModelConfigError, ModelUnavailable, UnknownName
from shared.models.ask import AskRequest
from shared.models.spec import ModelSpec
from tests.conftest import command_environment

SILENT = ["-c", "import sys; sys.stdin.read()"]


@pytest.fixture
def client() -> Iterator[WorkerClient]:
    client = WorkerClient("sim/arithmetic:0", {})
    yield client
    client.close()


def child_of(client: WorkerClient) -> Any:
    assert client._child is not None
    return client._child._process


def test_questions_from_many_threads_get_their_own_answers(client: WorkerClient) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(client.ask, [AskRequest(prompt=f"{n} + 1\ud800") for n in range(50)]))
    assert [answer.text for answer in answers] == [str(n + 1) for n in range(50)]
    assert answers[0].usage.calls == 1
    assert answers[0].usage.usd == 0.0


def test_simulated_models_are_asked_one_by_one(client: WorkerClient) -> None:
    assert client.at_once == 1
    assert WorkerClient("mine", {"mine": ModelSpec(model="openai/m")}).at_once == 4


def test_nothing_is_started_before_the_first_question_and_nothing_is_left(client: WorkerClient) -> None:
    assert client._child is None
    client.ask(AskRequest(prompt="1 + 1"))
    process = child_of(client)
    client.close()
    assert process.returncode == 0
    with pytest.raises(ModelUnavailable, match="let go of"):
        client.ask(AskRequest(prompt="1 + 1"))


def test_a_process_that_was_killed_is_started_again(client: WorkerClient) -> None:
    client.ask(AskRequest(prompt="1 + 1"))
    process = child_of(client)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    for _ in range(100):
        try:
            assert client.ask(AskRequest(prompt="1 + 1")).text == "2"
        except ModelUnavailable as error:  # it was not known yet that the process is gone
            assert "exit code -9" in str(error)
            time.sleep(0.05)
            continue
        return
    pytest.fail("it was never started again")


def test_questions_under_way_end_when_the_client_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaffolder, "worker_command", lambda *arguments: ["python3", *SILENT])
    client = WorkerClient("sim/echo", {})
    errors: list[Exception] = []

    def ask() -> None:
        try:
            client.ask(AskRequest(prompt="?"))
        except ModelUnavailable as error:
            errors.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    while client._child is None or not client._child._waiting:
        time.sleep(0.01)
    client.close()
    asking.join(30)
    assert [str(error) for error in errors] == ["The model was let go of before it had answered."]


@pytest.mark.parametrize("speech", ["print('what?')", "print('{\"id\": 99}')"])
def test_what_does_not_speak_our_language_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, speech: str) -> None:
    code = f"import sys; sys.stdin.readline(); {speech}; sys.stdout.flush(); sys.stdin.read()"
    monkeypatch.setattr(scaffolder, "worker_command", lambda *arguments: ["python3", "-c", code])
    client = WorkerClient("sim/echo", {})
    with pytest.raises(ModelUnavailable, match="exit code -9"):
        client.ask(AskRequest(prompt="?"))
    client.close()


def test_its_last_words_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys; sys.stdin.readline(); sys.exit('The disk is full.')"
    monkeypatch.setattr(scaffolder, "worker_command", lambda *arguments: ["python3", "-c", code])
    client = WorkerClient("sim/echo", {})
    with pytest.raises(ModelUnavailable, match=r"ended \(exit code 1\)\. The disk is full\."):
        client.ask(AskRequest(prompt="?"))
    client.close()


def test_the_process_does_not_outlive_a_coordinator_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from coordinator.scaffolder import WorkerClient\n"
        "from shared.models.ask import AskRequest\n"
        "client = WorkerClient('sim/echo', {})\n"
        "client.ask(AskRequest(prompt='?'))\n"
        "print(client._child._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=command_environment(), cwd=tmp_path, capture_output=True, text=True
    )
    pid = int(done.stdout)
    for _ in range(3000):
        if not Path(f"/proc/{pid}").exists() or _is_zombie(pid):
            break
        time.sleep(0.01)
    else:
        os.kill(pid, signal.SIGKILL)
        pytest.fail("The process that asks models outlived its coordinator.")


def _is_zombie(pid: int) -> bool:
    """Gone, but for whoever inherited it to take notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_unknown_models_and_missing_keys_are_errors_of_their_own() -> None:
    with pytest.raises(UnknownName, match="no model named 'sim/ecko'"):
        WorkerClient("sim/ecko", {})
    client = WorkerClient("openai/m", {})
    with pytest.raises(ModelConfigError, match="OPENAI_API_KEY"):
        client.ask(AskRequest(prompt="?"))
    client.close()


def test_no_key_is_in_the_command_or_in_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret-0123456789")
    spec = ModelSpec(model="openai/m", base_url="http://127.0.0.1:9/v1", api_key_env="MY_KEY")
    client = WorkerClient("mine", {"mine": spec})
    asking = threading.Thread(target=lambda: errors.append(_failure(client)))
    errors: list[str] = []
    asking.start()
    while client._child is None:
        time.sleep(0.01)
    command = Path(f"/proc/{child_of(client).pid}/cmdline").read_text()
    client.close()
    asking.join(30)
    assert "MY_KEY" in command
    assert "sk-very-secret" not in command + "".join(errors)


def _failure(client: WorkerClient) -> str:
    try:
        return str(client.ask(AskRequest(prompt="?")))
    except ModelUnavailable as error:
        return str(error)
