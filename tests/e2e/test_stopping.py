"""Whatever stops a run or a worker, no container stays, and the experiment can go on."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.queue import job_queue, make_app
from shared.volume import volume_id
from tests.conftest import COMMAND, command_environment, scaffoldry
from tests.e2e.conftest import containers, only_experiment, result_files, wait_until, worker, write_experiment

SLEEPER = "import time\n\ndef process_input(input_string):\n    time.sleep(40)\n    return input_string\n"
QUICK = "def process_input(input_string):\n    return input_string\n"

PYTHON_STARTS = 5.0
"""Seconds that a busy machine may take to start the Python of a command, and that of a look at the engine."""

pytestmark = [pytest.mark.docker, pytest.mark.redis]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "experiments"
    folder.mkdir()
    return folder


def coordinator(spec: Path, data_dir: Path, url: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "coordinator", "run", str(spec), "--data-dir", str(data_dir), "--broker-url", url],
        env=command_environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def containers_of(*workers: str) -> Callable[[], list[str]]:
    """What asks for the containers of those workers."""
    return lambda: [id for name in workers for id in containers(f"scaffoldry.worker={name}")]


def examples(count: int) -> list[dict[str, object]]:
    return [{"input": str(n), "answer": str(n)} for n in range(count)]


@pytest.mark.parametrize("how", ["cancel", "interrupt", "terminate"])
def test_cancelled_everywhere_and_resumed(
    how: str, tmp_path: Path, data_dir: Path, redis_url: str, sandbox_image: str
) -> None:
    url = redis_url.removesuffix("/0") + "/6"
    spec = write_experiment(tmp_path / "spec", {"a": SLEEPER}, examples(6))
    running = containers_of("stop1a", "stop1b")
    with (
        worker(url, data_dir, "--concurrency", "2", name="stop1a"),
        worker(url, data_dir, "--concurrency", "1", name="stop1b"),
    ):
        process = coordinator(spec, data_dir, url)
        wait_until(lambda: len(running()) == 3, 60, "three containers")
        experiment = only_experiment(data_dir)
        told = time.monotonic()
        if how == "cancel":
            done = scaffoldry("cancel", str(experiment), "--broker-url", url, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            assert "3 runs under way killed" in done.stderr
        else:
            process.send_signal(signal.SIGINT if how == "interrupt" else signal.SIGTERM)
        wait_until(lambda: running() == [], 35, "no container")
        # From when it was told, so what the command takes is in it, with the start of Python for it and for our look.
        assert time.monotonic() - told < 15 + PYTHON_STARTS
        _, talk = process.communicate(timeout=60)
        assert process.returncode == 130, talk
        assert f"{COMMAND} resume {experiment}" in talk
        assert result_files(experiment) == []
        assert len(list((experiment / "logs/0/0").iterdir())) == 3, "none of those that waited was started"

        (experiment / "scaffolds/0/scaffold.py").write_text(QUICK)
        resumed = scaffoldry("resume", str(experiment), "--broker-url", url, cwd=tmp_path)
        assert resumed.returncode == 0, resumed.stderr
        assert len(result_files(experiment)) == 6


def test_a_revoked_task_leaves_no_container_and_is_done_again(
    tmp_path: Path, data_dir: Path, redis_url: str, sandbox_image: str
) -> None:
    url = redis_url.removesuffix("/0") + "/8"
    spec = write_experiment(tmp_path / "spec", {"a": SLEEPER}, examples(1))
    with worker(url, data_dir, "--concurrency", "1", name="stop2"):
        process = coordinator(spec, data_dir, url)
        wait_until(lambda: len(containers("scaffoldry.worker=stop2")) == 1, 60, "a container")
        experiment = only_experiment(data_dir)
        first = containers("scaffoldry.worker=stop2")
        (experiment / "scaffolds/0/scaffold.py").write_text(QUICK)
        make_app(url).control.revoke(f"{experiment.name}.it000.0.valid_0", terminate=True)
        wait_until(lambda: not set(first) & set(containers("scaffoldry.worker=stop2")), 15, "its container gone")
        _, talk = process.communicate(timeout=60)
    assert process.returncode == 0, talk
    assert [path.name for path in result_files(experiment)] == ["valid_0.json"]
    assert (experiment / "logs/0/0/valid_0.log").read_text().count("=== run: ") == 2


@pytest.mark.parametrize(("number", "seconds"), [(signal.SIGQUIT, 20), (signal.SIGKILL, 60), (signal.SIGINT, 20)])
def test_a_worker_that_is_stopped_leaves_no_container(
    number: signal.Signals, seconds: float, tmp_path: Path, data_dir: Path, redis_url: str, sandbox_image: str
) -> None:
    """At once where it is told to stop; where it is killed outright, the next worker of its name clears up."""
    url = redis_url.removesuffix("/0") + "/10"
    longer = SLEEPER.replace("40", "90")  # than anybody waits here, so that a worker which lets them end is found out
    spec = write_experiment(tmp_path / "spec", {"a": longer}, examples(2))
    try:
        with worker(url, data_dir, "--concurrency", "2", name="stop3") as process:
            run = coordinator(spec, data_dir, url)
            wait_until(lambda: len(containers("scaffoldry.worker=stop3")) == 2, 60, "two containers")
            process.send_signal(number)
            if number is signal.SIGINT:  # the first is heard before the second, which ends it at once
                wait_until(lambda: not make_app(url).control.ping(timeout=1.0), 20, "a worker that is leaving")
                process.send_signal(number)
            process.wait(30)
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=60)
        if number is signal.SIGKILL:
            make_app(url, job_queue(volume_id(data_dir), "docker")).control.purge()
            with worker(url, data_dir, "--concurrency", "1", name="stop3"):
                wait_until(lambda: containers("scaffoldry.worker=stop3") == [], seconds, "strays reaped")
        assert containers("scaffoldry.worker=stop3") == []
    finally:
        run.kill()
        run.wait()
