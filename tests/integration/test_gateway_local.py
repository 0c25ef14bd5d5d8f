"""The server of a local model: one for the host, as long as anybody uses it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.errors import ModelUnavailable
from shared.settings import get_settings
from worker.gateway import weights
from worker.gateway.base import ChatRequest, Message
from worker.gateway.local import LocalProvider
from worker.gateway.local_host import LocalHost

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[2]
REQUEST = ChatRequest(messages=(Message(role="user", content="Say hello."),), max_tokens=4, timeout=60)
USER = (
    "import sys, pathlib\n"
    "from worker.gateway.local_host import LocalHost\n"
    "host = LocalHost(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), 1, 1.0)\n"
    "print(host.server().pid, flush=True)\n"
    "sys.stdin.read()\n"
)


@pytest.fixture(scope="module")
def model() -> Path:
    return weights.pull("smollm2", get_settings().cache_dir)


@pytest.fixture
def host(model: Path, tmp_path: Path) -> Iterator[LocalHost]:
    host = LocalHost(model, tmp_path, threads=1, linger=1.0)
    yield host
    host.release()
    if host.directory.exists():
        wait_for(lambda: not host.alive())


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def start_user(model: Path, cache: Path) -> "tuple[subprocess.Popen[str], int]":
    """Another process that uses the server; the server's pid."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(model), str(cache)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def end_user(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait(20)
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()


def test_one_server_for_all_processes_until_the_last_is_killed(model: Path, tmp_path: Path, host: LocalHost) -> None:
    users = [start_user(model, tmp_path) for _ in range(2)]
    assert len({pid for _, pid in users}) == 1
    assert host.server().pid == users[0][1]
    host.release()
    end_user(users[0][0])
    time.sleep(2.0)
    assert host.alive()
    end_user(users[1][0])
    wait_for(lambda: not host.alive())
    assert not (host.directory / "server.json").exists()


def test_a_server_that_dies_is_started_again(host: LocalHost) -> None:
    provider = LocalProvider("local/smollm2", host)
    first = provider.complete(REQUEST)
    pid = host.server().pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not host.alive())
    assert provider.complete(REQUEST) == first
    assert host.server().pid != pid
    provider.close()


def test_nobody_else_gets_in(host: LocalHost) -> None:
    import urllib.error
    import urllib.request

    state = host.server()
    assert host.directory.stat().st_mode & 0o077 == 0
    assert state.url.startswith("http://127.0.0.1:")
    request = urllib.request.Request(f"{state.url}/v1/chat/completions", b'{"messages": []}')
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request, timeout=20)
    raised.value.close()
    assert raised.value.code == 401
    assert state.key.get_secret_value() not in repr(state)


def test_weights_that_cannot_be_loaded(tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"not weights")
    with pytest.raises(ModelUnavailable, match=r"server\.log"):
        LocalHost(bad, tmp_path, threads=1).server()
