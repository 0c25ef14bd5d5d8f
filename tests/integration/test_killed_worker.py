"""What a worker that is killed takes with it."""

import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.experiment import create, prepare
from shared.models import Job
from shared.queue import folder_url, job_queue, make_app, send_job
from shared.volume import volume_id
from tests.conftest import ROOT, command_environment
from tests.e2e.conftest import wait_until, write_experiment
from worker.sandbox.container_config import WORKER_LABEL
from worker.sandbox.docker import Engine

SLEEPING = "import time\n\ndef process_input(input_string):\n    time.sleep(90)\n    return input_string\n"


STOPPED = "import os\n\ndef process_input(input_string):\n    os.kill(os.getpid(), 19)\n"
"""Does not even notice that nobody waits for it any more."""


@pytest.mark.docker
def test_no_container_outlives_its_run(tmp_path: Path, sandbox_image: str) -> None:
    """Not where a child of the pool is killed, nor where all of the worker is, and nobody starts another."""
    url, data_dir, name = folder_url(tmp_path / "broker"), tmp_path / "data", f"killed-{os.getpid()}"
    spec = write_experiment(tmp_path / "spec", {"a": STOPPED}, [{"input": "1", "answer": "1"}])
    files = create(prepare(spec), data_dir, image=None)
    job = Job(experiment=files.name, iteration=0, scaffold_id="0", run_type="valid_0")
    environment = command_environment(
        SCAFFOLDRY_BROKER_URL=url, SCAFFOLDRY_DATA_DIR=str(data_dir), SCAFFOLDRY_CACHE_DIR=str(tmp_path / "cache")
    )
    app = make_app(url, job_queue(volume_id(data_dir), "docker"))
    session = files.begin()
    engine = Engine()

    def of(attempt: int) -> list[str]:
        mine = engine.labels(WORKER_LABEL, name).values()
        return [labels["scaffoldry.maker"] for labels in mine if labels["scaffoldry.attempt"] == str(attempt)]

    command = [sys.executable, "-m", "worker", "run", "--name", name, "--concurrency", "1"]
    with subprocess.Popen(command, env=environment, cwd=ROOT, start_new_session=True) as process:
        try:
            send_job(app, job, 2, session)
            wait_until(lambda: len(of(2)) == 1, 60, "a run under way")
            os.kill(int(of(2)[0].partition(".")[0]), signal.SIGKILL)
            wait_until(lambda: not of(2), 60, "what the child left is gone")
            send_job(app, job, 3, session)
            wait_until(lambda: len(of(3)) == 1, 60, "another run under way, of another child")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    wait_until(lambda: not of(3), 60, "what the worker left is gone")


@pytest.fixture
def tmpdir_of_worker() -> Iterator[Path]:
    """The folder of a worker's temporary files; its name is short, because sockets are made in it."""
    with tempfile.TemporaryDirectory(prefix="killed-") as name:
        yield Path(name)


def test_a_child_at_work_is_gone_with_its_killed_worker(tmp_path: Path, tmpdir_of_worker: Path) -> None:
    """Whoever takes the worker's name removes what it runs: a child that lived on would take that for the program's.

    And no temporary file is left: not of a child that is killed alone, nor of the worker, whose heir sees to that.
    """
    url, data_dir = folder_url(tmp_path / "broker"), tmp_path / "data"
    spec = write_experiment(tmp_path / "spec", {"a": SLEEPING}, [{"input": "1", "answer": "1"}], sandbox="process")
    files = create(prepare(spec), data_dir, image=None)
    job = Job(experiment=files.name, iteration=0, scaffold_id="0", run_type="valid_0")
    environment = command_environment(
        SCAFFOLDRY_BROKER_URL=url,
        SCAFFOLDRY_DATA_DIR=str(data_dir),
        SCAFFOLDRY_CACHE_DIR=str(tmp_path / "cache"),
        TMPDIR=str(tmpdir_of_worker),
    )

    def made(pattern: str) -> list[Path]:
        return list(tmpdir_of_worker.glob(pattern))

    worker = [sys.executable, "-m", "worker"]
    read, write = os.pipe()
    command = [*worker, "run", "--sandbox", "process", "--concurrency", "1"]
    try:
        with subprocess.Popen(command, env=environment, cwd=ROOT, pass_fds=[write], start_new_session=True) as process:
            os.close(write)
            try:
                app = make_app(url, job_queue(volume_id(data_dir), "process"))
                session = files.begin()
                send_job(app, job, 1, session)
                wait_until(lambda: len(made("*.g/g/gateway.sock")) == len(made("*_run_*")) == 1, 60, "a run under way")
                (pool,), (first,), (gateway,) = made("*_pool_*"), made("*_run_*"), made("*.g")
                os.kill(int(first.name.partition("_run_")[2].partition(".")[0]), signal.SIGKILL)
                wait_until(lambda: not first.exists() and not gateway.exists(), 60, "what the child left is gone")
                assert pool.exists(), "the worker lives"
                send_job(app, job, 2, session)
                wait_until(lambda: len(made("*.g/g/gateway.sock")) == len(made("*_run_*")) == 1, 60, "a run under way")
            finally:
                process.send_signal(signal.SIGKILL)
        # The pipe's other end is held by the worker and its children alone: it closes when the last of them is gone.
        ready, _, _ = select.select([read], [], [], 30)
        assert ready and os.read(read, 1) == b""
        assert files.load_result(job) is None
        wait_until(lambda: made("*") == [], 60, "what the worker left is gone")
    finally:
        os.close(read)
        subprocess.run([*worker, "reap", "--sandbox", "process"], env=environment, cwd=ROOT, check=True, timeout=60)
