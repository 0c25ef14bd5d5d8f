"""Workers that go deaf, or whose loop stands still: each comes back by itself, and does the jobs."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from shared.file_manager import ExperimentFileManager
from tests.conftest import ROOT, command_environment, scaffoldry
from tests.e2e.conftest import only_experiment, result_files, wait_for_worker, wait_until, write_experiment
from tests.integration.test_cut_off import programs
from tests.integration.test_lost_runs import WAITS, coordinator

pytestmark = [pytest.mark.redis]

QUICK = "def process_input(input_string):\n    return input_string\n"
START = """
import sys
from pathlib import Path
from worker import watchdog
from worker.__main__ import main
watchdog.LOOK_SECONDS = 0.5
marker = Path({marker!r})
{fault}
sys.argv = ["worker", "run", "--sandbox", "process", "--concurrency", "2", "--name", "afflicted"]
sys.exit(main())
"""
DEAF = """
from kombu.transport.redis import Channel
listen, first = Channel._brpop_start, []
def deaf_at_first(self, *arguments):
    first.append(self)
    marker.touch()
    if self is not first[0]:
        listen(self, *arguments)
Channel._brpop_start = deaf_at_first
"""
"""A consumer that says that it listens, and does not; the next one does."""
SPEAKS = """
import time
from shared.leases import Leases
from shared.log import log
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "structlog":
            time.sleep(3)
sys.meta_path.insert(0, Slow())
take = Leases.take
def take_aloud(self, *arguments):
    log.warning("takes a lease")
    return take(self, *arguments)
Leases.take = take_aloud
"""
"""A worker whose children have something to say of each job, in which the first word takes its time."""
STANDS_STILL = """
import time
watchdog.STUCK_LOOKS = 6
def stand_still(self):
    if not marker.exists():
        marker.touch()
        time.sleep(3600)
    self._ticks += 1
watchdog.Watchdog.tick = stand_still
"""


@contextmanager
def afflicted(url: str, data_dir: Path, fault: str) -> Iterator["subprocess.Popen[bytes]"]:
    code = START.format(marker=str(data_dir.parent / "marker"), fault=fault)
    environment = command_environment(SCAFFOLDRY_BROKER_URL=url, SCAFFOLDRY_DATA_DIR=str(data_dir))
    with subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=ROOT) as process:
        try:
            wait_for_worker(url, "afflicted", process)
            yield process
        finally:
            process.terminate()
            process.wait(60)


@pytest.mark.parametrize(("number", "fault"), [(12, DEAF), (13, STANDS_STILL)], ids=["deaf", "stands still"])
def test_it_comes_back_by_itself(tmp_path: Path, redis_url: str, number: int, fault: str) -> None:
    url, data_dir = redis_url.removesuffix("/0") + f"/{number}", tmp_path / "data"
    data_dir.mkdir()
    examples: list[dict[str, object]] = [{"input": str(n), "answer": str(n)} for n in range(3)]
    spec = write_experiment(tmp_path / "spec", {"a": QUICK}, examples, sandbox="process")
    with afflicted(url, data_dir, fault) as process:
        done = scaffoldry("run", str(spec), "--data-dir", str(data_dir), "--broker-url", url, cwd=tmp_path)
        assert process.poll() is None
    assert done.returncode == 0, done.stderr
    results = [json.loads(path.read_text()) for path in result_files(only_experiment(data_dir))]
    assert [(one["worker"], one["attempt"]) for one in results] == [("afflicted", 1)] * 3
    assert (tmp_path / "marker").exists(), "it was afflicted"


def test_a_child_that_replaces_another_holds_none_of_its_workers_connections(tmp_path: Path, redis_url: str) -> None:
    url, data_dir = redis_url.removesuffix("/0") + "/14", tmp_path / "data"
    data_dir.mkdir()
    with afflicted(url, data_dir, "") as worker:
        first = pool_of(worker.pid)
        assert len(first) == 2 and connections(worker.pid)
        os.kill(min(first), signal.SIGKILL)
        wait_until(lambda: len(pool_of(worker.pid)) == 2 and pool_of(worker.pid) != first, 30, "another child")
        (second,) = pool_of(worker.pid) - first
        wait_until(lambda: not connections(second), 10, "a child without its worker's connections")
        assert connections(worker.pid)


def test_children_that_replace_others_while_their_worker_speaks_can_speak_too(tmp_path: Path, redis_url: str) -> None:
    """A thread of the worker's stops what is cancelled, and says so as the pool replaces the children of that."""
    url, data_dir = redis_url.removesuffix("/0") + "/11", tmp_path / "data"
    data_dir.mkdir()
    examples: list[dict[str, object]] = [{"input": str(tmp_path / "gate"), "answer": str(n)} for n in range(2)]
    waiting = write_experiment(tmp_path / "waiting", {"a": WAITS}, examples, sandbox="process")
    quick = write_experiment(tmp_path / "quick", {"a": QUICK}, examples, sandbox="process")
    with afflicted(url, data_dir, SPEAKS) as worker:
        with coordinator(waiting, data_dir, url) as session:
            wait_until(lambda: len(programs(tmp_path)) == 2, 60, "two runs under way")
            first = pool_of(worker.pid)
            session.kill()  # or it would pass the word on, and no thread would have anything to stop
            ExperimentFileManager.open(only_experiment(data_dir)).cancel()
        wait_until(lambda: len(pool_of(worker.pid) - first) == 2, 30, "two children in the place of those")
        done = scaffoldry("run", str(quick), "--data-dir", str(data_dir), "--broker-url", url, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr


def pool_of(worker: int) -> set[int]:
    """The processes that are a worker's children."""
    return {int(pid) for pid in Path(f"/proc/{worker}/task/{worker}/children").read_text().split()}


def connections(pid: int) -> set[str]:
    """The TCP connections that a process holds open, by their inodes."""
    held = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            held.add(os.readlink(link))
    table = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    return {inode for line in table if f"socket:[{(inode := line.split()[9])}]" in held}
