"""Whatever stops a run or a worker, no container stays, and the experiment can go on."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.queue import make_app
from tests.conftest import COMMAND, command_environment, scaffoldry
from tests.e2e.conftest import containers, only_experiment, result_files, wait_until, worker, write_experiment

SLEEPER = "import time\n\ndef process_input(input_string):\n    time.sleep(20)\n    return input_string\n"
QUICK = "def process_input(input_string):\n    return input_string\n"

pytestmark = [pytest.mark.docker, pytest.mark.redis, pytest.mark.timeout(180)]


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


def examples(count: int) -> list[dict[str, object]]:
    return [{"input": str(n), "answer": str(n)} for n in range(count)]


@pytest.mark.parametrize("how", ["cancel", "interrupt"])
def test_cancelled_everywhere_and_resumed(
    how: str, tmp_path: Path, data_dir: Path, redis_url: str, sandbox_image: str
) -> None:
    url = redis_url.removesuffix("/0") + "/6"
    spec = write_experiment(tmp_path / "spec", {"a": SLEEPER}, examples(6))
    with worker(url, data_dir, "--concurrency", "2", name="stop1"):
        process = coordinator(spec, data_dir, url)
        wait_until(lambda: len(containers("scaffoldry.worker=stop1")) == 2, 60, "two containers")
        experiment = only_experiment(data_dir)
        if how == "cancel":
            done = scaffoldry("cancel", str(experiment), "--broker-url", url, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
        else:
            process.send_signal(signal.SIGINT)
        wait_until(lambda: containers("scaffoldry.worker=stop1") == [], 15, "no container")
        _, talk = process.communicate(timeout=60)
        assert process.returncode == 130, talk
        assert f"{COMMAND} resume {experiment}" in talk
        assert result_files(experiment) == []

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


@pytest.mark.parametrize(("number", "seconds"), [(signal.SIGQUIT, 20), (signal.SIGKILL, 60)])
def test_a_worker_that_is_stopped_leaves_no_container(
    number: signal.Signals, seconds: float, tmp_path: Path, data_dir: Path, redis_url: str, sandbox_image: str
) -> None:
    """At once where it is told to stop; where it is killed outright, the next worker of its name clears up."""
    url = redis_url.removesuffix("/0") + "/10"
    spec = write_experiment(tmp_path / "spec", {"a": SLEEPER}, examples(2))
    try:
        with worker(url, data_dir, "--concurrency", "2", name="stop3") as process:
            run = coordinator(spec, data_dir, url)
            wait_until(lambda: len(containers("scaffoldry.worker=stop3")) == 2, 60, "two containers")
            process.send_signal(number)
            process.wait(30)
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=60)
        if number is signal.SIGKILL:
            make_app(url).control.purge()
            with worker(url, data_dir, "--concurrency", "1", name="stop3"):
                wait_until(lambda: containers("scaffoldry.worker=stop3") == [], seconds, "strays reaped")
        assert containers("scaffoldry.worker=stop3") == []
    finally:
        run.kill()
        run.wait()
