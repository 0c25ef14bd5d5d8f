"""Workers that are not all as they should be, on one real Redis; their scaffolds run as plain processes."""

import gc
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import shared
from coordinator.dispatch import SMALLEST_WINDOW
from coordinator.doctor import doctor_workers
from coordinator.experiment import create, prepare
from coordinator.report.base import Summary
from coordinator.session import cancel, run_session
from coordinator.workers import Workers
from shared.file_manager import ExperimentFileManager
from shared.models import Plan
from shared.queue import make_app
from tests.brokers import all_that_is_said_to, is_said
from tests.conftest import command_environment, scaffoldry
from tests.e2e.conftest import only_experiment, result_files, wait_until, write_experiment
from tests.looping import Talk
from tests.providers import provider

pytestmark = [pytest.mark.redis]

OLDER = "import shared; shared.__version__ = '0.0.9'"
KEY = "the-secret-key-of-a-provider"
HAS_A_KEY = f"import os; os.environ['OPENAI_API_KEY'] = {KEY!r}; "
AN_HOUR_AHEAD = "import time; now = time.time; time.time = lambda: now() + 3600"
SEES_NO_MARK = (
    "from shared.file_manager import ExperimentFileManager; "
    "ExperimentFileManager.is_cancelled = lambda files, session=None: False"
)
"""As where the volume is seen late."""
NO_ENGINE = """
from pathlib import Path
from shared.errors import InfraError, SandboxUnavailable
from worker.sandbox.process import ProcessSandbox

def asked(error, call):
    def answer(*arguments):
        if Path({flag!r}).exists():
            raise error("The engine does not answer.")
        return call(*arguments)
    return answer

ProcessSandbox.check = asked(SandboxUnavailable, ProcessSandbox.check)
ProcessSandbox.open = asked(InfraError, ProcessSandbox.open)
"""
"""Of a host whose engine is away while there is a file ``flag``."""
MAIN = "\nimport sys\nfrom worker.__main__ import main\nsys.exit(main())"

QUICK = "def process_input(input_string):\n    return input_string\n"
SHORT = "import time\n\ndef process_input(input_string):\n    time.sleep(0.05)\n    return input_string\n"
ASKING = (
    "from llm_executor import execute_llm\n\ndef process_input(input_string):\n    return execute_llm(input_string)\n"
)
LONG = "import time\n\ndef process_input(input_string):\n    time.sleep(60)\n    return input_string\n"


@pytest.fixture
def url(redis_url: str) -> Iterator[str]:
    yield redis_url.removesuffix("/0") + "/11"
    gc.collect()  # answers that are waited for no more are signed off, while there is a Redis


@contextmanager
def worker(url: str, data_dir: Path, name: str, cache: Path, first: str = "", slots: int = 2) -> Iterator[None]:
    """A worker, as on a host of its own, that runs ``first`` before anything else. It is not waited for."""
    options = ["run", "--name", name, "--sandbox", "process", "--concurrency", str(slots)]
    environment = {"BROKER_URL": url, "DATA_DIR": str(data_dir), "CACHE_DIR": str(cache), "LOG_LEVEL": "error"}
    process = subprocess.Popen(
        [sys.executable, "-c", first + MAIN, *options],
        env=command_environment(**{f"SCAFFOLDRY_{key}": value for key, value in environment.items()}),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def wait_for(count: int, url: str, data_dir: Path) -> None:
    """Return once so many workers answer."""
    workers = Workers(make_app(url), data_dir)
    wait_until(lambda: len(workers.ask(0.5)) == count, 60, f"{count} workers")


def spec(folder: Path, code: str, runs: int, **more: object) -> Path:
    examples: list[dict[str, object]] = [{"input": str(n), "answer": str(n)} for n in range(runs)]
    return write_experiment(folder, {"a": code}, examples, sandbox="process", **more)


def test_only_those_that_can_serve_get_jobs_and_the_others_are_named(tmp_path: Path, url: str) -> None:
    """Another version, another volume and one name twice; and a clock an hour ahead, which harms nothing.

    The one that serves asks a provider with its key, which reaches nobody else.
    """
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    with ExitStack() as stack:
        said = stack.enter_context(all_that_is_said_to(url))
        server = stack.enter_context(provider(KEY))
        stack.enter_context(worker(url, here, "good", tmp_path / "c1", HAS_A_KEY + AN_HOUR_AHEAD))
        stack.enter_context(worker(url, here, "old", tmp_path / "c2", OLDER))
        for cache in ("c3", "c4"):
            stack.enter_context(worker(url, there, "far", tmp_path / cache, slots=1))
        wait_for(4, url, here)

        listed = scaffoldry("workers", "--broker-url", url, "--data-dir", str(here), "--json", cwd=tmp_path)
        assert listed.returncode == 0, listed.stderr
        lines = [json.loads(line) for line in listed.stdout.splitlines()]
        assert [(one["worker"], one["problem"] is None) for one in lines] == [
            ("far", False),
            ("far", False),
            ("good", True),
            ("old", False),
        ]
        assert "2 workers answer as worker@far" in listed.stderr

        arguments = ("--broker-url", url, "--data-dir", str(here), "--no-wait")
        mine = {"mine": {"model": "openai/m", "base_url": server.base_url, "api_key_env": "OPENAI_API_KEY"}}
        asking = spec(tmp_path / "spec", ASKING, 20, models=mine, executor={"model": "mine"})
        done = scaffoldry("run", str(asking), *arguments, cwd=tmp_path, OPENAI_API_KEY=KEY)
        assert done.returncode == 0, done.stderr
        results = [json.loads(path.read_text()) for path in result_files(only_experiment(here))]
        assert [one["worker"] for one in results] == ["good"] * 20
        assert f"worker@old runs Scaffoldry 0.0.9, and this is {shared.__version__}" in done.stderr
        assert f"worker@far does not share the data directory {here}" in done.stderr

        found = {finding.check: finding for finding in doctor_workers(url, here)}
        theirs = {check for check in found if ": " in check}
        assert {check: one.ok for check, one in found.items() if check not in theirs} == {
            "broker": True,
            "worker far": False,
            "worker good": True,
            "clock of good": None,
            "worker old": False,
            "name far": False,
        }
        assert "1 h ahead of this host's" in found["clock of good"].detail
        assert {check.partition(":")[0] for check in theirs} == {"worker@good", "worker@far"}
        keys = [found[f"worker@{name}: model openai/NAME"] for name in ("good", "far")]
        assert [key.ok for key in keys] == [True, None], "each says what is so on its own host"
        assert KEY not in str(found)
    assert len(server.requests) >= 20
    experiment = only_experiment(here).name
    assert is_said(experiment, said) and is_said("valid_19", said), "the messages can be read"
    assert not is_said(KEY, said) and KEY not in done.stderr + done.stdout + listed.stderr + listed.stdout
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


class Counting(Talk):
    """Counts what another experiment has done when this one starts and ends."""

    def __init__(self, other: ExperimentFileManager) -> None:
        super().__init__()
        self.other = other
        self.counts: list[int] = []

    def count(self) -> None:
        self.counts.append(len(self.other.committed_run_types(0, "0")))

    def iteration_started(self, plan: Plan) -> None:
        self.count()

    def finished(self, summary: Summary) -> None:
        self.count()


def test_a_small_experiment_does_not_wait_for_a_large_one_which_is_then_cancelled(tmp_path: Path, url: str) -> None:
    data_dir, slots = tmp_path / "experiments", 2
    large = create(prepare(spec(tmp_path / "large", SHORT, 1000), name="large"), data_dir, image=None)
    small = create(prepare(spec(tmp_path / "small", SHORT, 10), name="small"), data_dir, image=None)
    ends: list[Summary] = []

    def conduct_large() -> None:
        ends.append(run_session(large, Talk(), data_dir=data_dir, broker_url=url, concurrency=1, wait=False))

    with ExitStack() as stack:
        for number in range(slots):
            stack.enter_context(worker(url, data_dir, f"w{number}", tmp_path / f"c{number}", slots=1))
        wait_for(slots, url, data_dir)
        other = threading.Thread(target=conduct_large)
        other.start()
        wait_until(lambda: len(large.committed_run_types(0, "0")) > SMALLEST_WINDOW, 60, "the large one under way")
        counting = Counting(large)
        summary = run_session(small, counting, data_dir=data_dir, broker_url=url, concurrency=1, wait=False)
        cancel(large, url)
        other.join(30)
        before, after = counting.counts
        assert summary.complete and not other.is_alive()
        # A window of it lay before the first of ours, another came between our first and our last window.
        assert after - before <= 2 * SMALLEST_WINDOW + 4 * slots
        assert ends[0].interrupted and len(large.committed_run_types(0, "0")) < 1000


def test_a_host_whose_engine_dies_takes_no_job_until_it_is_back(tmp_path: Path, url: str) -> None:
    """Else it would use up every job's attempts in no time."""
    data_dir, flag = tmp_path / "experiments", tmp_path / "away"
    files = create(prepare(spec(tmp_path / "spec", QUICK, 30)), data_dir, image=None)
    ends: list[Summary] = []
    with worker(url, data_dir, "dead", tmp_path / "cache", NO_ENGINE.format(flag=str(flag))):
        wait_for(1, url, data_dir)
        flag.touch()
        listening = Workers(make_app(url), data_dir)
        session = threading.Thread(
            target=lambda: ends.append(
                run_session(files, Talk(), data_dir=data_dir, broker_url=url, concurrency=1, wait=True)
            )
        )
        session.start()
        said = "worker@dead can start no run at present, and takes no job until it can: The engine does not answer."
        wait_until(lambda: [one.problem for one in listening.ask(0.3)] == [said], 30, "the trouble is told")
        flag.unlink()
        session.join(60)
        assert ends[0].complete and ends[0].quarantined == 0
        assert [one.problem for one in listening.ask(1.0)] == [None]
    attempts = [result.attempt for result in files.results(0, "0")]
    assert len(attempts) == 30 and sum(attempt > 1 for attempt in attempts) <= 2 * 2, "of two slots"


def test_a_worker_that_sees_the_mark_late_is_told_and_serves_again_at_once(tmp_path: Path, url: str) -> None:
    data_dir = tmp_path / "experiments"
    files = create(prepare(spec(tmp_path / "spec", LONG, 6)), data_dir, image=None)
    log = Path(str(files)) / "logs" / "0" / "0"

    def conduct() -> Summary:
        return run_session(files, Talk(), data_dir=data_dir, broker_url=url, concurrency=1, wait=False)

    with worker(url, data_dir, "late", tmp_path / "cache", SEES_NO_MARK):
        wait_for(1, url, data_dir)
        ends: list[Summary] = []
        thread = threading.Thread(target=lambda: ends.append(conduct()))
        thread.start()
        wait_until(lambda: log.is_dir() and len(list(log.iterdir())) == 2, 60, "two runs")
        assert cancel(files, url) == 2
        thread.join(60)
        assert ends[0].interrupted
        assert len(list(log.iterdir())) == 2, "none of those that waited was started"
        (Path(str(files)) / "scaffolds/0/scaffold.py").write_text(QUICK)
        assert conduct().complete
