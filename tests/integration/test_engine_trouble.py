"""An engine that is restarted, hangs or goes away in the middle of runs: one of the test's own."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from shared.errors import HostTrouble
from shared.models import Labels, Limits, RunRequest, ScaffoldMount, Status
from tests.conftest import command_environment
from tests.e2e.conftest import only_experiment, result_files, wait_until, write_experiment
from tests.multihost.lab import Host, copy_images, lab, start_engine
from worker.sandbox import docker_sandbox, exchange
from worker.sandbox.container_config import WORKER_LABEL
from worker.sandbox.docker import Engine
from worker.sandbox.docker_sandbox import DockerSandbox

pytestmark = pytest.mark.docker

SLEEPING = "import time\ndef process_input(text):\n print('up')\n time.sleep(60)\n"
SLOW = "import time\n\ndef process_input(text):\n    time.sleep(3)\n    return text\n"


@pytest.fixture(scope="module")
def host(sandbox_image: str) -> Iterator[Host]:
    if os.geteuid() != 0:
        pytest.fail("Only root may start an engine of its own: run these tests as root.")
    with lab("solo") as found:
        copy_images(found.hosts, sandbox_image)
        yield found.hosts[0]


@pytest.fixture(autouse=True)
def pursuits_end(host: Host) -> Iterator[None]:
    """What pursues a container in this process opens descriptors that the next tests do not know of."""
    yield
    wait_until(lambda: all(thread.name != "removal" for thread in threading.enumerate()), 60, "an end of all pursuits")


@pytest.fixture
def scaffold(tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> ScaffoldMount:
    monkeypatch.setenv("DOCKER_HOST", host.engine)
    for each in (tmp_path.parent.parent, tmp_path.parent, tmp_path):
        each.chmod(0o755)
    (tmp_path / "scaffold.py").write_text(SLEEPING)
    return ScaffoldMount(scaffold_id="0", directory=tmp_path)


def run(scaffold: ScaffoldMount, limits: Limits, once_up: "threading.Event") -> Status:
    with DockerSandbox().open(scaffold, limits, Labels(worker="trouble")) as session:
        return session.run(RunRequest(input_string=""), lambda text: once_up.set()).status


def nothing_left() -> bool:
    return Engine().find(WORKER_LABEL, "trouble") == []


def stop(host: Host) -> None:
    engine = host.started[-1]
    engine.terminate()
    engine.wait(60)


def test_an_engine_that_hangs_is_given_up_in_time(
    host: Host, scaffold: ScaffoldMount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_sandbox, "KILL_TIMEOUT", 2.0)
    monkeypatch.setattr(exchange, "GRACE", 1.0)
    up = threading.Event()
    freeze = threading.Thread(target=lambda: up.wait(60) and os.kill(host.started[-1].pid, signal.SIGSTOP))
    freeze.start()
    try:
        with pytest.raises(HostTrouble, match="could not kill"):
            run(scaffold, Limits(timeout=1), up)
        freeze.join()
        monkeypatch.setattr(exchange, "start_timeout", lambda timeout: 2.0)
        began = time.monotonic()
        with pytest.raises(HostTrouble, match="could not"):
            run(scaffold, Limits(timeout=1), up)
        assert time.monotonic() - began < 30
    finally:
        up.set()
        freeze.join()
        os.kill(host.started[-1].pid, signal.SIGCONT)
    wait_until(nothing_left, 60, "the containers of both runs are gone")
    time.sleep(1)
    assert nothing_left()


def test_a_run_under_way_is_lost_to_a_restart_and_leaves_nothing(host: Host, scaffold: ScaffoldMount) -> None:
    up = threading.Event()
    restart = threading.Thread(target=lambda: up.wait(60) and stop(host))
    restart.start()
    try:
        with pytest.raises(HostTrouble):
            run(scaffold, Limits(timeout=50), up)
    finally:
        up.set()
        restart.join()
        start_engine(host)
    wait_until(nothing_left, 60, "the container is gone")


def test_no_run_is_scored_for_three_restarts(host: Host, tmp_path: Path) -> None:
    """Not even where all three attempts that a failure of ours has would be lost to them."""
    examples: list[dict[str, object]] = [{"input": str(n), "answer": str(n)} for n in range(2)]
    spec = write_experiment(tmp_path / "spec", {"a": SLOW}, examples)
    data_dir = tmp_path / "data"
    command = [sys.executable, "-m", "coordinator", "run", str(spec), "--data-dir", str(data_dir), "--concurrency", "2"]
    environment = command_environment(DOCKER_HOST=host.engine)
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as go:
        try:
            for _ in range(3):
                wait_until(lambda: bool(programs(host)), 60, "a run under way")
                stop(host)
                time.sleep(2)
                start_engine(host)
            _, said = go.communicate(timeout=150)
        finally:
            go.kill()
    assert go.returncode == 0, said
    results = [json.loads(path.read_text()) for path in result_files(only_experiment(data_dir))]
    assert [result["score"] for result in results] == [1.0, 1.0]
    assert max(result["attempt"] for result in results) >= 2


def programs(host: Host) -> list[str]:
    """The containers of jobs that run."""
    found: list[str] = []
    with suppress(AssertionError):
        found = host.docker("ps", "-q", "--filter", "label=scaffoldry.attempt", "--no-trunc").split()
        jobs = [host.docker("inspect", "--format", '{{index .Config.Labels "scaffoldry.job"}}', one) for one in found]
        return [job for job in jobs if job.strip() != "probe"]
    return found
