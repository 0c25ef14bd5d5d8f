"""The services of docker-compose.yml, really built and started: healthy, talking to each other, and gone afterwards."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]  # the first build of the image takes minutes

ROOT = Path(__file__).parents[2]
SERVICES = ("redis", "worker", "flower")
HEALTHY_WITHIN = 120.0

SCAFFOLD = "def process_input(input_string):\n    return input_string.upper()\n"
SPEC = """
name: compose
task: Shout the word.
data: {valid: {path: words.jsonl, input: word}}
scorer: {name: exact, field: answer}
scaffolds: [shout]
executor: {model: sim/echo, timeout: 60}
"""


@dataclass(frozen=True)
class Stack:
    """The running services, as one compose project of their own."""

    compose: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)  # may hold keys
    redis_port: int
    flower_port: int

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self.compose, *arguments], cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=180
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def docker(self, *arguments: str) -> str:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True, timeout=60).stdout

    def leftovers(self) -> list[str]:
        """The ids of this project's containers, volumes and networks."""
        label = f"label=com.docker.compose.project={self.environment['COMPOSE_PROJECT_NAME']}"
        kinds = (["ps", "-aq"], ["volume", "ls", "-q"], ["network", "ls", "-q"])
        return [one for kind in kinds for one in self.docker(*kind, "--filter", label).split()]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _script(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [ROOT / "scripts" / name, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=800
    )
    assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    _script("compose_images.sh")
    redis_port, flower_port = _free_ports(2)
    # A short path: a Unix socket's has at most 108 bytes.
    with tempfile.TemporaryDirectory(prefix="scaffoldry-", ignore_cleanup_errors=os.geteuid() != 0) as folder:
        environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": f"scaffoldry-test-{os.getpid()}",
            "SCAFFOLDRY_DATA_DIR": f"{folder}/data",
            "SCAFFOLDRY_CACHE_DIR": f"{folder}/cache",
            "SCAFFOLDRY_SOCKET_DIR": f"{folder}/sockets",
            "SCAFFOLDRY_REDIS_PORT": str(redis_port),
            "SCAFFOLDRY_FLOWER_PORT": str(flower_port),
            "SCAFFOLDRY_CONCURRENCY": "1",
        }
        for name in ("data", "cache", "sockets"):
            (Path(folder) / name).mkdir()
        stack = Stack(tuple(_script("engine.sh", "compose").split()), environment, redis_port, flower_port)
        try:
            stack.run("up", "-d")
            yield stack
        finally:
            stack.run("down", "-v")
    assert stack.leftovers() == []


def _health(stack: Stack, service: str) -> str:
    container = stack.run("ps", "-q", service).strip()
    return stack.docker("inspect", "--format", "{{.State.Health.Status}}", container).strip()


def test_every_service_becomes_healthy(stack: Stack) -> None:
    deadline = time.monotonic() + HEALTHY_WITHIN
    while (states := {name: _health(stack, name) for name in SERVICES}) != dict.fromkeys(SERVICES, "healthy"):
        assert time.monotonic() < deadline, f"{states}\n{stack.run('logs', '--tail=30')}"
        time.sleep(1)


def test_redis_answers_inside_and_on_the_hosts_loopback(stack: Stack) -> None:
    assert stack.run("exec", "-T", "redis", "redis-cli", "ping").strip() == "PONG"
    with socket.create_connection(("127.0.0.1", stack.redis_port), timeout=10) as client:
        client.sendall(b"PING\r\n")
        assert client.recv(64) == b"+PONG\r\n"


def test_the_worker_answers_celerys_ping(stack: Stack) -> None:
    ping = ["celery", "-A", "shared.queue:app", "inspect", "ping", "--json", "--timeout", "10"]
    replies = json.loads(stack.run("exec", "-T", "worker", *ping).splitlines()[0])
    assert [reply["ok"] for reply in replies.values()] == ["pong"]


def test_flower_shows_its_page(stack: Stack) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.flower_port}/workers", timeout=30) as answer:
        assert answer.status == 200
        assert "Flower" in answer.read().decode()


def test_ports_are_published_on_loopback_alone(stack: Stack) -> None:
    for name in SERVICES:
        published = stack.docker("port", stack.run("ps", "-q", name).strip()).splitlines()
        assert all(line.split(" -> ")[1].startswith("127.0.0.1:") for line in published), published
        assert bool(published) == (name != "worker")


def test_an_experiment_runs_on_the_composed_worker(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "shout").mkdir()
    (tmp_path / "shout" / "scaffold.py").write_text(SCAFFOLD)
    (tmp_path / "words.jsonl").write_text('{"word": "owl", "answer": "OWL"}\n{"word": "elk", "answer": "no"}\n')
    (tmp_path / "spec.yaml").write_text(SPEC)
    environment = {**stack.environment, "SCAFFOLDRY_BROKER_URL": f"redis://127.0.0.1:{stack.redis_port}/0"}
    command = [sys.executable, "-m", "coordinator", "run", str(tmp_path / "spec.yaml")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    (experiment,) = Path(environment["SCAFFOLDRY_DATA_DIR"]).iterdir()
    assert json.loads((experiment / "scoring" / "scores_0.json").read_text())["valid"] == {"0": 0.5}
