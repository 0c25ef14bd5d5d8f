"""A worker that hears nothing of Redis any more: a cancelled experiment's runs end there all the same."""

from pathlib import Path

import pytest

from coordinator.selftest.redis_server import RedisServer
from shared.file_manager import ExperimentFileManager
from tests.e2e.conftest import only_experiment, result_files, wait_until, worker, write_experiment
from tests.integration.test_lost_runs import WAITS, coordinator

pytestmark = [pytest.mark.redis]


def test_runs_end_within_15_seconds_of_a_cancel_that_their_worker_is_not_told_of(tmp_path: Path) -> None:
    data_dir, gate = tmp_path / "data", tmp_path / "gate"
    data_dir.mkdir()
    spec = write_experiment(
        tmp_path / "spec", {"a": WAITS}, [{"input": str(gate), "answer": str(n)} for n in range(3)], sandbox="process"
    )
    server = RedisServer(tmp_path / "redis", {})
    try:
        with (
            worker(server.url, data_dir, "--sandbox", "process", "--concurrency", "3", name="cut-off"),
            coordinator(spec, data_dir, server.url) as session,
        ):
            wait_until(lambda: len(programs(tmp_path)) == 3, 60, "three runs under way")
            session.kill()  # or it would pass the word on as soon as it can
            server.hang(True)
            try:
                ExperimentFileManager.open(only_experiment(data_dir)).cancel()
                wait_until(lambda: programs(tmp_path) == [], 15, "no program")
            finally:
                server.hang(False)
            assert result_files(only_experiment(data_dir)) == []
    finally:
        server.stop()


def programs(folder: Path) -> list[str]:
    """The runners at work on a scaffold below that folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended
        if b"runner.py" in command and bytes(folder) in command:
            found.append(process.name)
    return found
