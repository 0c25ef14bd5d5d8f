"""Experiments to measure with, and the workers that run them."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kombu import pools

from coordinator.experiment import create, prepare
from coordinator.report.base import Reporter, Summary
from coordinator.session import run_session
from shared.file_manager import ExperimentFileManager
from shared.models import Job, Plan, Receipt, RunResult
from shared.queue import make_app
from shared.settings import child_environment

SCAFFOLD = "def process_input(input_string):\n    return input_string.upper()\n"
SLEEPER = (
    "import time\n\ndef process_input(input_string):\n    time.sleep({seconds})\n    return input_string.upper()\n"
)


class Silent(Reporter):
    """Says nothing, so that only the work is measured."""

    def iteration_started(self, plan: Plan) -> None: ...
    def run_restored(self, result: RunResult) -> None: ...
    def run_finished(self, job: Job, receipt: Receipt) -> None: ...
    def run_retried(self, job: Job, receipt: Receipt) -> None: ...
    def run_quarantined(self, job: Job, receipt: Receipt) -> None: ...
    def say(self, message: str) -> None: ...
    def tick(self) -> None: ...
    def finished(self, summary: Summary) -> None: ...


def write_spec(folder: Path, examples: int, scaffolds: int, sandbox: str, code: str = SCAFFOLD) -> Path:
    """A spec of ``scaffolds`` equal scaffolds, ``examples`` examples and no model call; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (f'{{"input": "line {n}", "answer": "LINE {n}"}}\n' for n in range(examples))
    (folder / "data.jsonl").write_text("".join(lines))
    for index in range(scaffolds):
        (folder / f"s{index}").mkdir(exist_ok=True)
        (folder / f"s{index}" / "scaffold.py").write_text(code)
    names = ", ".join(f"s{index}" for index in range(scaffolds))
    (folder / "spec.yaml").write_text(
        f"name: bench\ndata: {{valid: {{path: data.jsonl}}}}\nscorer: {{name: exact, field: answer}}\n"
        f"scaffolds: [{names}]\nexecutor: {{model: sim/echo}}\nsandbox: {sandbox}\n"
    )
    return folder / "spec.yaml"


def timed_session(spec: Path, data_dir: Path, broker_url: str) -> float:
    """Seconds that the coordinator takes for the whole experiment over workers that already listen."""
    return session_with_files(spec, data_dir, broker_url)[0]


def session_with_files(spec: Path, data_dir: Path, broker_url: str) -> tuple[float, ExperimentFileManager]:
    """As ``timed_session``, and what the experiment left on the volume."""
    files: ExperimentFileManager = create(prepare(spec), data_dir, image=None)
    began = time.perf_counter()
    summary = run_session(files, Silent(), data_dir=data_dir, broker_url=broker_url, concurrency=1, wait=False)
    seconds = time.perf_counter() - began
    if not summary.complete:
        raise SystemExit(f"The experiment {summary.directory} did not end complete; nothing was measured.")
    return seconds, files


_SCRIPT = """
import json, re, sys, time
from pathlib import Path
from benchmarks.experiments import timed_session
before = time.process_time()
seconds = timed_session(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
cpu = time.process_time() - before
# Not getrusage: its peak is that of the process this one was started from, where that was larger.
kibibytes = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
print(json.dumps({"peak_mib": kibibytes / 1024, "seconds": seconds, "cpu": cpu}))
"""


def session_in_a_process(spec: Path, data_dir: Path, broker_url: str) -> dict[str, float]:
    """What a session as ``timed_session`` makes one takes in a process of its own.

    ``seconds``, seconds of processor time (``cpu``), and peak resident memory in MiB (``peak_mib``).
    """
    command = [sys.executable, "-c", _SCRIPT, str(spec), str(data_dir), broker_url]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


@contextmanager
def redis_server(folder: Path, address: str = "127.0.0.1") -> Iterator[str]:
    """A Redis server of our own, without persistence, that listens on an address of this machine; its URL."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port = probe.getsockname()[1]
    server = shutil.which("redis-server")
    if server is None:
        raise SystemExit("There is no redis-server on this machine; install it with: scripts/redis.sh")
    options = ["--port", str(port), "--bind", address, "--protected-mode", "no", "--save", "", "--dir", str(folder)]
    with _child([server, *options], child_environment()):
        yield f"redis://{address}:{port}/0"


@contextmanager
def worker(broker_url: str, data_dir: Path, slots: int, sandbox: str) -> Iterator[None]:
    """A worker that listens; the folder of experiments is made."""
    data_dir.mkdir(parents=True, exist_ok=True)
    environment = child_environment(SCAFFOLDRY_BROKER_URL=broker_url, SCAFFOLDRY_DATA_DIR=str(data_dir))
    command = [sys.executable, "-m", "worker", "run", "--concurrency", str(slots), "--sandbox", sandbox]
    with _child(command, environment):
        wait_for_workers(broker_url)
        yield


@contextmanager
def noop_worker(broker_url: str, slots: int) -> Iterator[None]:
    """A Celery worker as anyone starts one, with a task that does nothing."""
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.noop", "worker", "-c", str(slots), "-l", "ERROR"]
    with _child(command, noop_environment(broker_url)):
        wait_for_workers(broker_url)
        yield


def noop_environment(broker_url: str) -> dict[str, str]:
    """The environment in which ``benchmarks.noop`` finds its broker: by Celery's own variables."""
    return child_environment(CELERY_BROKER_URL=broker_url, CELERY_RESULT_BACKEND=broker_url)


def wait_for_workers(broker_url: str, count: int = 1) -> None:
    """Return once so many workers answer on the broker; SystemExit after a minute with fewer."""
    app = make_app(broker_url)
    try:
        for _ in range(60):
            if len(app.control.ping(timeout=1.0) or ()) >= count:
                return
    finally:
        pools.reset()  # Kombu keeps connections for the whole process, and they would be counted with the worker's
        app.close()
    raise SystemExit(f"Fewer than {count} workers answer on {broker_url}.")


@contextmanager
def _child(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
