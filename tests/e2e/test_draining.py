"""A worker that is to leave takes no new job, finishes those it has, and goes; the others' jobs stay in the queue."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import redis

from shared.queue import job_queue, make_app
from shared.volume import volume_id
from tests.conftest import command_environment, scaffoldry
from tests.e2e.conftest import only_experiment, refused, result_files, wait_until, worker, write_experiment

WAITING = """
import os, time
from pathlib import Path

def process_input(gates):
    (Path(gates) / f"started-{os.getpid()}").touch()
    while not (Path(gates) / "open").exists():
        time.sleep(0.05)
    return "done"
"""
pytestmark = [pytest.mark.redis]


class Gated:
    """An experiment of six runs that wait for a gate, under way."""

    def __init__(self, tmp_path: Path, url: str) -> None:
        self.url = url
        self.data_dir = tmp_path / "experiments"
        self.data_dir.mkdir()
        self.gates = tmp_path / "gates"
        self.gates.mkdir()
        self.folder = tmp_path
        examples: list[dict[str, object]] = [{"input": str(self.gates), "answer": "done"}] * 6
        self.spec = write_experiment(tmp_path / "spec", {"a": WAITING}, examples, sandbox="process")
        self.broker = redis.Redis.from_url(url)

    @contextmanager
    def coordinator(self) -> Iterator["subprocess.Popen[str]"]:
        arguments = ["run", str(self.spec), "--data-dir", str(self.data_dir), "--broker-url", self.url]
        with subprocess.Popen(
            [sys.executable, "-m", "coordinator", *arguments],
            env=command_environment(),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def worker(self, name: str) -> "AbstractContextManager[subprocess.Popen[bytes]]":
        return worker(self.url, self.data_dir, "--sandbox", "process", "--concurrency", "1", name=name)

    def started(self) -> int:
        return len(list(self.gates.glob("started-*")))

    def open(self) -> None:
        (self.gates / "open").touch()

    def waiting(self) -> int:
        return int(self.broker.llen(job_queue(volume_id(self.data_dir), "process")))  # type: ignore[arg-type]


def queues(url: str, name: str) -> list[object] | None:
    """The queues that a worker takes jobs from; None where it does not answer."""
    found = make_app(url).control.inspect(destination=[f"worker@{name}"], timeout=2.0).active_queues()
    return list(found[f"worker@{name}"]) if found else None


@pytest.fixture
def lab(tmp_path: Path, redis_url: str) -> Gated:
    return Gated(tmp_path, redis_url.removesuffix("/0") + "/12")


def test_what_runs_is_finished_and_no_more_is_taken(lab: Gated) -> None:
    """Told by a signal, and told over the broker."""
    told = ["worker", "--drain", "--name", "leaver-b", "--broker-url", lab.url]
    with (
        lab.coordinator() as run,
        lab.worker("leaver-a") as first,
        lab.worker("leaver-b") as second,
    ):
        wait_until(lambda: lab.started() == 2 and lab.waiting() == 4, 60, "two runs, and four in the queue")
        shows_what_they_run(lab)
        first.send_signal(signal.SIGTERM)
        drain = subprocess.Popen(
            [sys.executable, "-m", "coordinator", *told], env=command_environment(), stderr=subprocess.PIPE, text=True
        )
        assert drain.stderr is not None
        said = drain.stderr.readline()
        assert said.startswith("worker@leaver-b takes no new job and finishes 1 run: scaffold 0 on valid_")
        for name in ("leaver-a", "leaver-b"):
            wait_until(lambda name=name: queues(lab.url, name) == [], 30, "no queue that jobs are taken from")
        assert (first.poll(), second.poll()) == (None, None)
        lab.open()
        assert (first.wait(60), second.wait(60)) == (0, 0)
        assert drain.stderr.read().splitlines()[-1] == "worker@leaver-b has gone."
        assert drain.wait(30) == 0

        experiment = only_experiment(lab.data_dir)
        assert (lab.started(), len(result_files(experiment)), lab.waiting()) == (2, 2, 4)
        assert lab.broker.hlen("unacked") == 0, "no job is left to be delivered again"
        with lab.worker("stayer"):
            assert run.wait(60) == 0
    assert lab.started() == len(result_files(experiment)) == 6


def shows_what_they_run(lab: Gated) -> None:
    """Each has one slot, and in it a run of these, since a while ago."""
    words = ("workers", "--broker-url", lab.url, "--data-dir", str(lab.data_dir), "--json")
    done = scaffoldry(*words, cwd=lab.data_dir)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["worker"], one["slots"], len(one["jobs"])) for one in found] == [
        ("leaver-a", 1, 1),
        ("leaver-b", 1, 1),
    ]
    for one in found:
        (job,) = one["jobs"]
        assert one["host"] and job["scaffold_id"] == "0" and 0 < job["seconds"] < 120, one


def test_the_second_of_one_name_is_refused_and_a_killed_one_is_no_ghost(tmp_path: Path, redis_url: str) -> None:
    url = redis_url.removesuffix("/0") + "/13"
    command = ("worker", "--broker-url", url, "--name", "twin", "--sandbox", "process")
    elsewhere = {"SCAFFOLDRY_DATA_DIR": str(tmp_path), "SCAFFOLDRY_CACHE_DIR": str(tmp_path / "another host's")}
    with worker(url, tmp_path, "--sandbox", "process", "--concurrency", "1", name="twin") as first:
        refused(scaffoldry(*command, cwd=tmp_path, **elsewhere), 2, "A worker named twin listens", "--name")
        first.kill()
        first.wait(30)
        with worker(url, tmp_path, "--sandbox", "process", "--concurrency", "1", name="twin") as second:
            assert second.poll() is None
