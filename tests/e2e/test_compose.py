"""A lab on one machine: docker-compose.yml and a second worker, really built and started, and gone afterwards."""

import ast
import base64
import json
import os
import re
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import ROOT, free_port
from tests.e2e.browser import browser
from tests.e2e.conftest import only_experiment, result_files, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]  # the first build of the image takes minutes

SERVICES = ("redis", "worker", "flower")
HEALTHY_WITHIN = 180.0
ROLES = ("coordinator", "worker", "flower")

SHOUT = """
import time

def process_input(input_string):
    time.sleep(1)
    return input_string.upper()
"""
SPY = """
import os

def process_input(input_string):
    readable = [path for path in ({env!r}, "/var/run/docker.sock", {data!r}) if os.access(path, os.R_OK)]
    return repr((readable, dict(os.environ)))
"""
SPEC = """
name: compose
task: Shout the word.
data: {valid: {path: words.jsonl, input: word}}
scorer: {name: exact, field: answer}
scaffolds: [shout, spy]
executor: {model: sim/echo, timeout: 60}
"""
WORDS = (("owl", "OWL"), ("elk", "no"), ("ant", "ANT"), ("fox", "FOX"), ("yak", "YAK"), ("emu", "EMU"))
MEAN = 5 / 6
NAPS = 3


@dataclass(frozen=True)
class Stack:
    """The services of one compose file, as a compose project of their own. ``folder`` has its `.env`."""

    compose: tuple[str, ...]
    project: str
    folder: Path
    file: str = "docker-compose.yml"

    def call(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        where = ["--project-directory", str(self.folder), "-f", str(ROOT / self.file), "-p", self.project]
        return subprocess.run(
            [*self.compose, *where, *arguments],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )

    def run(self, *arguments: str) -> str:
        done = self.call(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def value(self, name: str) -> str:
        """A variable of its `.env`, without SCAFFOLDRY_."""
        (found,) = re.findall(rf"^SCAFFOLDRY_{name}=(.*)$", (self.folder / ".env").read_text(), re.M)
        return str(found)

    def wait_healthy(self, *services: str) -> None:
        deadline = time.monotonic() + HEALTHY_WITHIN
        while (states := {name: self._health(name) for name in services}) != dict.fromkeys(services, "healthy"):
            assert time.monotonic() < deadline, f"{states}\n{self.run('logs', '--tail=30')}"
            time.sleep(1)

    def leftovers(self) -> list[str]:
        """The ids of this project's containers, volumes and networks."""
        label = f"label=com.docker.compose.project={self.project}"
        kinds = (["ps", "-aq"], ["volume", "ls", "-q"], ["network", "ls", "-q"])
        return [one for kind in kinds for one in docker(*kind, "--filter", label).split()]

    def _health(self, service: str) -> str:
        return docker("inspect", "--format", "{{.State.Health.Status}}", self.run("ps", "-q", service).strip()).strip()


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True, timeout=60).stdout


def script(name: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [ROOT / "scripts" / name, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=800,
    )
    assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def head() -> Iterator[Stack]:
    script("compose_images.sh")
    # A short path: a Unix socket's has at most 108 bytes. Its files belong to the services' user.
    with tempfile.TemporaryDirectory(prefix="scaffoldry-", ignore_cleanup_errors=os.geteuid() != 0) as name:
        folder = Path(name)
        folder.chmod(0o755)
        script(
            "init.sh",
            name,
            SCAFFOLDRY_CACHE_DIR=f"{name}/cache",
            SCAFFOLDRY_REDIS_PORT=str(free_port()),
            SCAFFOLDRY_FLOWER_PORT=str(free_port()),
            SCAFFOLDRY_CONCURRENCY="1",
            SCAFFOLDRY_WORKER_NAME=f"lab1-{os.getpid()}",
        )
        compose = tuple(script("engine.sh", "compose").split())
        stack = Stack(compose, f"scaffoldry-test-{os.getpid()}", folder)
        try:
            stack.run("up", "-d")
            yield stack
        finally:
            stack.run("down", "-v", "--remove-orphans")
    assert stack.leftovers() == []


@pytest.fixture(scope="module")
def other(head: Stack) -> Iterator[Stack]:
    """A second worker, of docker-compose.worker.yml: on this machine, as another host would have it."""
    folder = head.folder / "lab2"
    folder.mkdir()
    more = f"SCAFFOLDRY_WORKER_NAME=lab2-{os.getpid()}\nSCAFFOLDRY_CONCURRENCY=1\n"
    (folder / ".env").write_text(settings_of_other_hosts(head) + more)
    stack = Stack(head.compose, f"scaffoldry-test-{os.getpid()}-lab2", folder, "docker-compose.worker.yml")
    try:
        stack.run("up", "-d")
        yield stack
    finally:
        stack.run("down", "-v")
    assert stack.leftovers() == []


def settings_of_other_hosts(head: Stack) -> str:
    """What `make init` writes for them where the broker is published; here it is reached by way of loopback."""
    published = head.folder / "published"
    published.mkdir()
    (published / ".env").write_text((head.folder / ".env").read_text())
    script("init.sh", str(published), SCAFFOLDRY_REDIS_ADDRESS="192.0.2.7")
    text = (published / ".deploy" / "worker.env").read_text()
    assert text.count("192.0.2.7") == 1
    return text.replace("192.0.2.7", "127.0.0.1")


@pytest.fixture(scope="module")
def experiment(head: Stack, other: Stack) -> Path:
    """An experiment that was run by `docker-compose run --rm coordinator run SPEC` on two workers."""
    head.wait_healthy(*SERVICES)
    other.wait_healthy("worker")
    spies = {"env": str(head.folder / ".env"), "data": head.value("DATA_DIR")}
    for name, code in (("shout", SHOUT), ("spy", SPY.format(**spies))):
        (head.folder / name).mkdir()
        (head.folder / name / "scaffold.py").write_text(code)
    lines = [json.dumps({"word": word, "answer": answer}) for word, answer in WORDS]
    (head.folder / "words.jsonl").write_text("\n".join(lines))
    (head.folder / "spec.yaml").write_text(SPEC)
    done = head.call("run", "--rm", "-T", "coordinator", "run", "spec.yaml")
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    found = only_experiment(Path(head.value("DATA_DIR")))
    assert f"{head.value('COMPOSE')} run --rm coordinator resume {found}" in done.stderr
    return found


def status(url: str, login: str | None = None) -> int:
    """What a web server answers, and to whom."""
    headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if login else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_without_an_env_file_compose_says_what_to_do(head: Stack, tmp_path: Path) -> None:
    done = Stack(head.compose, "scaffoldry-none", tmp_path).call("up", "-d")
    assert done.returncode != 0 and "Run make init first" in done.stderr
    done = Stack(head.compose, "scaffoldry-none", tmp_path, "docker-compose.worker.yml").call("up", "-d")
    assert done.returncode != 0 and re.search("Set SCAFFOLDRY_[A-Z_]+ to", done.stderr)


def test_ports_are_published_on_loopback_alone(head: Stack) -> None:
    for name in SERVICES:
        published = docker("port", head.run("ps", "-q", name).strip()).splitlines()
        assert all(line.split(" -> ")[1].startswith("127.0.0.1:") for line in published), published
        assert bool(published) == (name != "worker")


def test_the_broker_turns_away_who_says_no_password(head: Stack) -> None:
    with socket.create_connection(("127.0.0.1", int(head.value("REDIS_PORT"))), timeout=10) as client:
        client.sendall(b"PING\r\n")
        assert client.recv(1024).startswith(b"-NOAUTH")
        for role in ROLES:
            client.sendall(f"AUTH {role} {head.value(f'{role.upper()}_PASSWORD')}\r\n".encode())
            assert client.recv(1024) == b"+OK\r\n"
            for command in (b"FLUSHALL", b"CONFIG GET *"):
                client.sendall(command + b"\r\n")
                assert client.recv(1024).startswith(b"-NOPERM"), (role, command)


def test_a_wrong_password_is_said_by_the_service_which_never_becomes_healthy(head: Stack, other: Stack) -> None:
    folder = head.folder / "lab3"
    folder.mkdir()
    text = (other.folder / ".env").read_text().replace(head.value("WORKER_PASSWORD"), "wrong")
    (folder / ".env").write_text(text.replace("=lab2", "=lab3"))
    stack = Stack(head.compose, f"{head.project}-lab3", folder, other.file)
    try:
        stack.run("up", "-d")
        container = stack.run("ps", "-q", "worker").strip()
        wait_until(lambda: "The broker at redis://127.0.0.1" in stack.run("logs", "worker"), 60, "the sentence")
        state = "{{.State.Health.Status}} {{.State.ExitCode}}"
        wait_until(lambda: docker("inspect", "--format", state, container).split() == ["unhealthy", "3"], 180, "an end")
        assert "Traceback" not in stack.run("logs", "worker")
    finally:
        stack.run("down", "-v")


def test_a_worker_that_may_not_use_docker_says_so(head: Stack) -> None:
    done = head.call("run", "--rm", "-T", "worker", SCAFFOLDRY_DOCKER_GID="54321")
    assert done.returncode == 3 and "let this user use it" in done.stdout + done.stderr


def test_a_data_directory_that_is_not_there_starts_nothing(head: Stack) -> None:
    done = head.call("run", "--rm", "-T", "worker", SCAFFOLDRY_DATA_DIR="/nowhere/experiments")
    assert done.returncode != 0 and "/nowhere/experiments" in done.stderr
    assert not Path("/nowhere").exists()


def test_flower_shows_nothing_without_its_login(head: Stack) -> None:
    head.wait_healthy("flower")
    url = f"http://127.0.0.1:{head.value('FLOWER_PORT')}"
    assert [status(f"{url}/{page}") for page in ("", "workers", "tasks", "api/tasks", "api/workers")] == [401] * 5
    assert status(f"{url}/tasks", "scaffoldry:wrong") == 401
    assert status(f"{url}/tasks", f"scaffoldry:{head.value('FLOWER_LOGIN')}") == 200


def test_the_coordinator_reads_nobodys_password(head: Stack) -> None:
    (head.folder / ".deploy" / "worker.env").write_text("SCAFFOLDRY_BROKER_URL=secret")
    looks = ("--entrypoint", "cat", "coordinator", ".env", ".deploy/worker.env", ".deploy/users.acl")
    done = head.call("run", "--rm", "-T", *looks)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("cat: .deploy/") == 2


def test_an_experiment_runs_on_both_workers(head: Stack, experiment: Path) -> None:
    assert json.loads((experiment / "scoring" / "scores_0.json").read_text())["valid"] == {"0": MEAN, "1": 0.0}
    results = [json.loads(path.read_text()) for path in result_files(experiment)]
    assert {result["worker"] for result in results} == {f"lab1-{os.getpid()}", f"lab2-{os.getpid()}"}
    # What they wrote belongs to the user of the services, who is not root.
    owners = {path.stat().st_uid for path in experiment.rglob("*")}
    assert owners == {int(head.value("UID"))} and 0 not in owners


def test_each_host_has_one_worker_with_the_slots_it_was_given(head: Stack, other: Stack, experiment: Path) -> None:
    said = head.run("run", "--rm", "-T", "coordinator", "workers", "--json")
    found = [json.loads(line) for line in said.splitlines()]
    assert {(one["worker"], one["slots"]) for one in found} == {(f"lab{n}-{os.getpid()}", 1) for n in (1, 2)}


def test_no_password_reaches_a_scaffold(head: Stack, experiment: Path) -> None:
    secrets = [head.value(f"{role.upper()}_PASSWORD") for role in ROLES] + [head.value("FLOWER_LOGIN")]
    spied = [json.loads(path.read_text())["output"] for path in result_files(experiment) if path.parent.name == "1"]
    assert len(spied) == len(WORDS)
    for output in spied:
        readable, environment = ast.literal_eval(output)
        assert readable == [] and environment and not [name for name in environment if "BROKER" in name]
    for path in experiment.rglob("*"):
        assert not path.is_file() or not any(secret.encode() in path.read_bytes() for secret in secrets), path


def test_a_job_is_found_in_flower_by_its_scaffold_with_status_score_and_host(
    head: Stack, experiment: Path, tmp_path: Path
) -> None:
    head.run("restart", "flower")  # what it knows is kept
    head.wait_healthy("flower")
    address = f"127.0.0.1:{head.value('FLOWER_PORT')}/tasks"
    (result,) = (json.loads(path.read_text()) for path in result_files(experiment) if path.match("0/0/valid_1.json"))
    with browser() as page:
        page.open(f"http://{address}")
        assert page.table("#tasks-table") == []
        page.open(f"http://scaffoldry:{head.value('FLOWER_LOGIN')}@{address}")
        page.wait(lambda: len(page.table("#tasks-table")) == 2 * len(WORDS))
        page.type("input[type=search]", '"scaffold 0"')
        page.wait(lambda: len(page.table("#tasks-table")) == len(WORDS))
        rows = [" | ".join(row) for row in page.table("#tasks-table")]
        page.screenshot(tmp_path / "flower.png")
    assert all("scaffold 0 on valid_" in row for row in rows), rows
    (row,) = (row for row in rows if f"{experiment.name}.it000.0.valid_1 " in row)
    assert "ok, score 0.000" in row and f"worker@{result['worker']}" in row
    assert (tmp_path / "flower.png").read_bytes().startswith(b"\x89PNG")


def test_a_stopped_worker_finishes_and_stays_stopped(head: Stack, other: Stack, experiment: Path) -> None:
    name, container = other.value("WORKER_NAME"), other.run("ps", "-q", "worker").strip()
    port = free_port()
    published = ("--rm", "-T", "-p", f"127.0.0.1:{port}:9200", "coordinator")
    with ThreadPoolExecutor(1) as aside:
        running = aside.submit(head.call, "run", *published, "run", _napping(head), "--metrics-port", "9200")
        wait_until(lambda: bool(_under_way(head, name)), 90, "a run under way on the second worker")
        (log,) = _under_way(head, name)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            assert re.search(rb"^scaffoldry_queue_depth\{[^}]*\} \d", answer.read(), re.M)
        began = time.time()
        other.run("stop")
        told, result = _first_signal(container, began), _result_of(log)
        done = running.result()
    # Its run was under way when it was told to stop, and was its own to the end.
    assert datetime.fromisoformat(result["started_at"]) < told < datetime.fromisoformat(result["finished_at"])
    assert (result["worker"], result["status"], result["attempt"], result["exit_code"]) == (name, "ok", 1, 0)
    assert log.read_text().count("=== run: ") == 1
    assert docker("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", container).split() == ["exited", "0"]
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert len(result_files(log.parents[3])) == NAPS


def _napping(head: Stack) -> str:
    """Write an experiment of runs that take long enough for a worker to be stopped meanwhile; its spec's name."""
    (head.folder / "nap").mkdir()
    (head.folder / "nap" / "scaffold.py").write_text(SHOUT.replace("sleep(1)", "sleep(4)"))
    spec = SPEC.replace("name: compose", "name: napping").replace("[shout, spy]", "[nap]")
    (head.folder / "napping.yaml").write_text(spec.replace("input: word", f"input: word, limit: {NAPS}"))
    return "napping.yaml"


def _under_way(head: Stack, worker: str) -> list[Path]:
    """The logs of the runs that the worker has begun and not finished."""
    texts = {path: path.read_text() for path in Path(head.value("DATA_DIR")).glob("napping_*/logs/0/0/*.log")}
    return [path for path, text in texts.items() if f" on {worker}, " in text and "=== finished: " not in text]


def _result_of(log: Path) -> dict[str, Any]:
    """The committed result of the run with that log."""
    (found,) = (path for path in result_files(log.parents[3]) if path.stem == log.stem)
    return dict(json.loads(found.read_text()))


def _first_signal(container: str, since: float) -> datetime:
    """When the engine first sent the container a signal."""
    times = ("--since", f"{since:.6f}", "--until", f"{time.time():.6f}")
    filters = ("--filter", f"container={container}", "--filter", "event=kill")
    first, *_ = docker("events", *times, *filters, "--format", "{{.TimeNano}}").split()
    return datetime.fromtimestamp(int(first) / 1e9, UTC)


def test_what_waits_at_the_broker_outlasts_its_restart(head: Stack) -> None:
    address = f"127.0.0.1:{head.value('REDIS_PORT')}"
    url = f"redis://coordinator:{head.value('COORDINATOR_PASSWORD')}@{address}/0"
    with redis.Redis.from_url(url) as client:
        client.lpush("scaffoldry.waiting", "a job")
    head.run("restart", "redis")
    head.wait_healthy("redis")
    with redis.Redis.from_url(url) as client:
        assert client.lrange("scaffoldry.waiting", 0, -1) == [b"a job"]
