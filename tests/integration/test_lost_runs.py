"""A run is lost with its worker, and only with it: leases as worker and coordinator really use them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from shared.leases import PREFIX
from tests.conftest import command_environment, scaffoldry
from tests.e2e.conftest import only_experiment, result_files, wait_until, worker, write_experiment

pytestmark = [pytest.mark.redis]

COUNTED = """
import time

def process_input(path):
    with open(path, "a") as file:
        file.write("made\\n")
    time.sleep({seconds})
    return "done"
"""
"""Says where it was made, once each time."""
WAITS = """
import time
from pathlib import Path

def process_input(gate):
    Path(gate + ".begun").touch()
    while not Path(gate).exists():
        time.sleep(0.05)
    return "done"
"""


def coordinator(spec: Path, data_dir: Path, url: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "coordinator", "run", str(spec), "--data-dir", str(data_dir), "--broker-url", url]
    return subprocess.Popen(command, env=command_environment(), stdout=subprocess.DEVNULL)


def only_result(data_dir: Path) -> dict[str, object]:
    (path,) = result_files(only_experiment(data_dir))
    return dict(json.loads(path.read_text()))


def counted(folder: Path, runs: int, seconds: float) -> Path:
    """A spec whose runs count themselves in ``folder``."""
    examples: list[dict[str, object]] = [{"input": str(folder / f"{n}.made"), "answer": "done"} for n in range(runs)]
    return write_experiment(folder / "spec", {"a": COUNTED.format(seconds=seconds)}, examples, sandbox="process")


def made(folder: Path) -> list[int]:
    return [len(path.read_text().splitlines()) for path in sorted(folder.glob("*.made"))]


@contextmanager
def stopped(worker: "subprocess.Popen[bytes]") -> Iterator[None]:
    """All of a worker's processes stand still meanwhile."""
    os.killpg(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(worker.pid, signal.SIGCONT)


def test_a_long_run_is_neither_taken_for_lost_nor_made_twice(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by the looks for lost runs, and not by a Redis that hands out again what is not answered at once."""
    url, data_dir = redis_url.removesuffix("/0") + "/10", tmp_path / "data"
    data_dir.mkdir()
    monkeypatch.setenv("SCAFFOLDRY_VISIBILITY_TIMEOUT", "1")
    with worker(url, data_dir, "--sandbox", "process", "--concurrency", "2", name="steady"):
        spec = counted(tmp_path, runs=1, seconds=16)  # looks for lost runs are six seconds apart
        done = scaffoldry("run", str(spec), "--data-dir", str(data_dir), "--broker-url", url, cwd=tmp_path)
    assert done.returncode == 0 and "gone" not in done.stderr, done.stderr
    assert only_result(data_dir)["attempt"] == 1
    assert made(tmp_path) == [1]


def test_a_message_that_comes_three_times_is_one_run(tmp_path: Path, redis_url: str) -> None:
    url, data_dir = redis_url.removesuffix("/0") + "/14", tmp_path / "data"
    data_dir.mkdir()
    spec = counted(tmp_path, runs=5, seconds=0.5)
    redis: Any = Redis.from_url(url)
    with coordinator(spec, data_dir, url) as run:
        try:
            wait_until(lambda: sum(redis.llen(key) for key in redis.keys("scaffoldry.*")) == 5, 60, "five jobs sent")
            (queue,) = redis.keys("scaffoldry.*")
            for message in redis.lrange(queue, 0, -1)[::-1]:
                redis.lpush(queue, message, message)
                redis.rpoplpush(queue, queue)
            assert redis.llen(queue) == 15
            with worker(url, data_dir, "--sandbox", "process", "--concurrency", "3", name="threefold"):
                assert run.wait(100) == 0
                wait_until(lambda: redis.llen(queue) == 0 and redis.hlen("unacked") == 0, 60, "every message answered")
        finally:
            run.kill()
    assert len(result_files(only_experiment(data_dir))) == 5
    assert made(tmp_path) == [1] * 5


def test_the_run_of_a_killed_worker_is_made_by_another(tmp_path: Path, redis_url: str) -> None:
    """Found by its lease, long before silence alone would tell."""
    url, data_dir, gate = redis_url.removesuffix("/0") + "/11", tmp_path / "data", tmp_path / "gate"
    data_dir.mkdir()
    examples: list[dict[str, object]] = [{"input": str(gate), "answer": "done"}]
    spec = write_experiment(tmp_path / "spec", {"a": WAITS}, examples, sandbox="process")
    options = ("--sandbox", "process", "--concurrency", "1")
    with worker(url, data_dir, *options, name="fragile") as fragile, coordinator(spec, data_dir, url) as run:
        try:
            wait_until(Path(f"{gate}.begun").exists, 60, "a run under way")
            fragile.kill()
            fragile.wait(30)
            with worker(url, data_dir, *options, name="heir"):
                gate.touch()
                assert run.wait(100) == 0
        finally:
            run.kill()
    result = only_result(data_dir)
    assert (result["attempt"], result["worker"], result["score"]) == (2, "heir", 1.0)


def test_a_worker_that_was_stopped_past_its_lease_commits_nothing(tmp_path: Path, redis_url: str) -> None:
    """It goes on when its successor is done: its result is refused and counted, and the successor's stands."""
    url, data_dir = redis_url.removesuffix("/0") + "/12", tmp_path / "data"
    data_dir.mkdir()
    gates = [tmp_path / name for name in ("first", "second")]
    examples: list[dict[str, object]] = [{"input": str(gate), "answer": "done"} for gate in gates]
    spec = write_experiment(tmp_path / "spec", {"a": WAITS}, examples, sandbox="process")
    command = [sys.executable, "-m", "coordinator", "run", str(spec), "--data-dir", str(data_dir), "--broker-url", url]
    options = ("--sandbox", "process", "--concurrency")
    with (
        worker(url, data_dir, *options, "1", name="sleeper") as sleeper,
        subprocess.Popen(command, env=command_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run,
    ):
        try:
            wait_until(Path(f"{gates[0]}.begun").exists, 60, "a run under way")
            with stopped(sleeper):
                # Its lease ends; it would by itself in half a minute.
                assert Redis.from_url(url).delete(*[key for key in Redis.from_url(url).scan_iter(f"{PREFIX}*")])
                (draft,) = (only_experiment(data_dir) / "attempts").rglob("valid_0.1-1.*")
                with worker(url, data_dir, *options, "2", name="heir"):
                    wait_until(lambda: not draft.exists(), 60, "the attempt given up")
                    gates[0].touch()
                    wait_until(lambda: bool(result_files(only_experiment(data_dir))), 60, "its successor's result")
                    os.killpg(sleeper.pid, signal.SIGCONT)
                    dropped = only_experiment(data_dir) / "dropped"
                    wait_until(lambda: dropped.exists() and bool(os.listdir(dropped)), 60, "the late result refused")
                    gates[1].touch()
                    _, said = run.communicate(timeout=100)
        finally:
            run.kill()
    assert run.returncode == 0 and b"1 run was done once more than needed" in said, said.decode()
    first, second = (json.loads(path.read_text()) for path in result_files(only_experiment(data_dir)))
    assert (first["attempt"], first["worker"], first["score"]) == (2, "heir", 1.0)
    assert (second["attempt"], second["score"]) == (1, 1.0)
    assert not [path for path in (only_experiment(data_dir) / "attempts").rglob("*") if path.is_file()]
