"""An experiment over three hosts: two with their workers in containers, one with its worker beside its engine."""

import json
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import ROOT, command_environment, free_port, scaffoldry
from tests.e2e.conftest import only_experiment, result_files, scoring_bytes, wait_until, write_experiment
from tests.multihost.lab import Host, Lab, bare_worker, call, copy_images, lab, python

PYTHON_STARTS = 5.0
"""Seconds for the start of the command, and for a look at three engines, on a machine that is busy."""
SERVICES = "scaffoldry/services:latest"
CONTAINED, BARE = ("lab1", "lab2"), "lab3"

VOTE = """
from collections import Counter

from llm_executor import execute_llm


def process_input(input_string):
    asked = [f"{start} {input_string}" for start in STARTS]
    return Counter(execute_llm(prompt) for prompt in asked).most_common(1)[0][0]
"""
SLEEPY = """
import time

def process_input(input_string):
    time.sleep(1)
    return input_string
"""

pytestmark = [pytest.mark.docker, pytest.mark.redis]


@dataclass(frozen=True)
class Site:
    """A lab with its broker, and the environment of whoever works at the head."""

    lab: Lab
    broker_url: str
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    def run(self, spec: Path) -> "subprocess.Popen[str]":
        """A coordinator at the head, started and not waited for; it ends with the site."""
        process = subprocess.Popen(
            python("-m", "coordinator", "run", str(spec), "--data-dir", str(self.lab.volume)),
            env=command_environment(SCAFFOLDRY_BROKER_URL=self.broker_url),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def experiment(self, name: str) -> Path:
        """The directory of the experiment of that name, once it is there."""
        wait_until(lambda: any(self.lab.volume.glob(f"{name}_*/metadata.json")), 60, f"an experiment {name}")
        return next(self.lab.volume.glob(f"{name}_*"))


@pytest.fixture(scope="module")
def site(sandbox_image: str) -> Iterator[Site]:
    """Three hosts whose workers listen."""
    call(str(ROOT / "scripts/compose_images.sh"))
    with lab(*CONTAINED, BARE) as made, _redis(made.address) as broker_url:
        copy_images([made.host(name) for name in CONTAINED], sandbox_image, SERVICES)
        copy_images([made.host(BARE)], sandbox_image)
        for name in CONTAINED:
            _worker_in_a_container(made.host(name), broker_url)
        bare_worker(made.host(BARE), broker_url, 2)
        _wait_for_workers(made, broker_url, (*CONTAINED, BARE))
        site = Site(made, broker_url)
        yield site
        for process in site.started:
            process.kill()  # one of a test that failed
        for name in CONTAINED:
            made.host(name).docker("kill", "worker")  # an engine that ends would wait for it to drain


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where experiments lie that ran on the machine itself, undisturbed."""
    return tmp_path_factory.mktemp("quiet")


@pytest.mark.timeout(900)
def test_three_hundred_runs_on_three_hosts_give_the_files_of_one(site: Site, quiet: Path, tmp_path: Path) -> None:
    scaffolds = {str(votes): f"STARTS = {('What is', 'Work out', 'Tell me')[:votes]!r}\n{VOTE}" for votes in (1, 2, 3)}
    chance = random.Random(0)
    pairs = [(chance.randrange(100), chance.randrange(100)) for _ in range(100)]
    examples = [{"input": f"{a} + {b}?", "answer": str(a + b)} for a, b in pairs]
    given = {"scorer": {"name": "numeric", "field": "answer"}, "executor": {"model": "sim/arithmetic:0.3"}}
    spec = write_experiment(tmp_path / "spec", scaffolds, list(examples), name="three", **given)

    coordinator = site.run(spec)
    expected = _alone(spec, quiet / "three")
    _, talk = coordinator.communicate(timeout=500)
    assert coordinator.returncode == 0, talk

    experiment = site.experiment("three")
    results = [json.loads(path.read_text()) for path in result_files(experiment)]
    assert len(results) == 300
    assert {result["worker"] for result in results} == {*CONTAINED, BARE}
    assert all(result["status"] == "ok" and result["usage"]["calls"] for result in results)
    assert scoring_bytes(experiment) == scoring_bytes(expected)
    means = json.loads((experiment / "scoring/scores_0.json").read_text())["valid"]
    assert len(set(means.values())) > 1  # there is something to tell apart


@pytest.mark.timeout(300)
def test_a_cancel_leaves_no_container_on_any_host(site: Site, tmp_path: Path) -> None:
    examples: list[dict[str, object]] = [{"input": str(n), "answer": str(n)} for n in range(9)]
    code = SLEEPY.replace("sleep(1)", "sleep(120)")
    executor = {"model": "sim/echo", "timeout": 150}
    coordinator = site.run(write_experiment(tmp_path, {"a": code}, examples, name="stopped", executor=executor))
    experiment = site.experiment("stopped")

    def containers() -> list[int]:
        filters = ("--filter", f"label=scaffoldry.experiment={experiment.name}")
        return [len(host.docker("ps", "--quiet", *filters).split()) for host in site.lab.hosts]

    wait_until(lambda: containers() == [2, 2, 2], 60, "a container in each slot")
    told = time.monotonic()
    done = scaffoldry("cancel", str(experiment), "--broker-url", site.broker_url, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "6 runs under way killed" in done.stderr
    wait_until(lambda: containers() == [0, 0, 0], 60, "no container anywhere")
    assert time.monotonic() - told < 15 + PYTHON_STARTS
    assert coordinator.wait(60) == 130
    assert len(list(experiment.glob("logs/0/*/*.log"))) == 6, "what waited has begun"


@pytest.mark.timeout(900)
def test_one_host_is_cut_off_for_a_minute_and_another_dies(site: Site, quiet: Path, tmp_path: Path) -> None:
    """Runs last: one of the hosts is gone for good."""
    examples: list[dict[str, object]] = [{"input": str(n), "answer": str(n if n % 3 else -1)} for n in range(30)]
    executor = {"model": "sim/echo", "timeout": 10}
    spec = write_experiment(tmp_path / "spec", {"a": SLEEPY, "b": SLEEPY}, examples, name="broken", executor=executor)

    coordinator = site.run(spec)
    experiment = site.experiment("broken")
    wait_until(lambda: _workers_of(experiment) >= {*CONTAINED, BARE}, 120, "a result of every host")
    cut, killed = site.lab.host(CONTAINED[0]), site.lab.host(BARE)
    known = _under_way(experiment, cut)  # a run that has just begun outlasts the pulling of the cable
    wait_until(lambda: bool(_under_way(experiment, cut) - known), 60, "a run just begun on the host that is to be cut")
    cut.cut()
    began = time.monotonic()
    assert _under_way(experiment, cut) - known and coordinator.poll() is None
    known = _under_way(experiment, killed)
    wait_until(lambda: bool(_under_way(experiment, killed) - known), 60, "a run just begun on the host that is killed")
    lost = _under_way(experiment, killed)
    killed.kill()
    lost -= {path for path in lost if _result_of(path).exists()}
    assert lost, f"all that was under way on {killed.name} had ended when it was killed"
    _wait_for_workers(site.lab, site.broker_url, CONTAINED[1:])
    expected = _alone(spec, quiet / "broken")
    time.sleep(max(0.0, 60 - (time.monotonic() - began)))
    cut.mend()
    _, talk = coordinator.communicate(timeout=300)
    assert coordinator.returncode == 0, talk
    assert len(result_files(experiment)) == 60
    assert scoring_bytes(experiment) == scoring_bytes(expected)
    assert {json.loads(_result_of(path).read_text())["worker"] for path in lost} <= set(CONTAINED)

    # Who was cut off takes jobs again, once it has noticed that it can.
    _wait_for_workers(site.lab, site.broker_url, CONTAINED)
    more: list[dict[str, object]] = [{"input": str(n), "answer": str(n)} for n in range(500)]
    again = site.run(write_experiment(tmp_path / "again", {"a": SLEEPY}, more, name="again"))
    experiment = site.experiment("again")
    deadline = time.monotonic() + 60
    while _workers_of(experiment) != set(CONTAINED):
        assert time.monotonic() < deadline, cut.said("worker")
        assert again.poll() is None, again.communicate()[1]
        time.sleep(0.2)
    again.terminate()
    assert again.wait(60) == 130


def _workers_of(experiment: Path) -> set[str]:
    return {json.loads(path.read_text())["worker"] for path in result_files(experiment)}


def _under_way(experiment: Path, host: Host) -> set[Path]:
    """The logs of the runs that the host's worker has begun and not finished."""
    texts = {path: path.read_text() for path in experiment.glob("logs/0/*/*.log")}
    begun = {path: text.rpartition("\n=== attempt ")[2] for path, text in texts.items()}
    return {path for path, text in begun.items() if f" on {host.name}, " in text and "\n=== finished: " not in text}


def _result_of(log: Path) -> Path:
    """The result of the run whose log that is."""
    _, iteration, scaffold_id, name = log.parts[-4:]
    return log.parents[3] / "results" / iteration / scaffold_id / f"{name.removesuffix('.log')}.json"


def _alone(spec: Path, data_dir: Path) -> Path:
    """The same experiment on the machine itself, without hosts, broker or containers; where it lies."""
    options = ["--set", "sandbox=process", "--data-dir", str(data_dir), "--concurrency", "2"]
    done = scaffoldry("run", str(spec), *options, cwd=data_dir.parent, timeout=300)
    assert done.returncode == 0, done.stderr
    return only_experiment(data_dir)


def _worker_in_a_container(host: Host, broker_url: str) -> None:
    """Its paths mean nothing to the engine that it asks for containers: it has to find out what they are there."""
    sockets = host.folder / "sockets"
    sockets.mkdir()
    variables = {
        "SCAFFOLDRY_BROKER_URL": broker_url,
        "SCAFFOLDRY_DATA_DIR": "/experiments",
        "SCAFFOLDRY_SOCKET_DIR": "/sockets",
        "SCAFFOLDRY_CONCURRENCY": "2",
        "SCAFFOLDRY_WORKER_NAME": host.name,
    }
    mounts = {host.volume: "/experiments", sockets: "/sockets", host.folder / "docker.sock": "/var/run/docker.sock"}
    host.docker(
        *("run", "--detach", "--name", "worker", "--network", "host", "--init"),
        *(word for name, value in variables.items() for word in ("--env", f"{name}={value}")),
        *(word for source, target in mounts.items() for word in ("--volume", f"{source}:{target}")),
        *(SERVICES, "scaffoldry", "worker"),
    )


def _wait_for_workers(made: Lab, broker_url: str, names: Sequence[str]) -> None:
    def listening() -> set[str]:
        options = ["--broker-url", broker_url, "--data-dir", str(made.volume), "--json"]
        done = scaffoldry("workers", *options, cwd=made.volume)
        return {json.loads(line)["worker"] for line in done.stdout.splitlines()}

    deadline = time.monotonic() + 90
    while (found := listening()) != set(names):
        logs = [host.said("worker") for host in made.hosts if host.name in CONTAINED]
        assert time.monotonic() < deadline, f"{found}; {logs}; {made.host(BARE).log.read_text()[-2000:]}"
        time.sleep(1)


@contextmanager
def _redis(address: str) -> Iterator[str]:
    """A Redis server that listens on the address the hosts reach; its URL."""
    port = free_port(address)
    server = shutil.which("redis-server")
    assert server is not None, "There is no redis-server on this machine; install it with: scripts/redis.sh"
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--bind", address, "--protected-mode", "no", "--save", "", "--dir", folder]
        process = subprocess.Popen([server, *options], stdout=subprocess.DEVNULL)
        try:
            yield f"redis://{address}:{port}/0"
        finally:
            process.terminate()
            process.wait(10)
