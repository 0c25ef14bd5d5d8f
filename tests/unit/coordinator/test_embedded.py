"""The worker that a session brings along: a real child process, with a folder as its broker."""

import signal
from pathlib import Path

import pytest

from coordinator.embedded import embedded_worker
from shared.errors import Unavailable
from shared.queue import make_app


def test_a_worker_that_is_gone_is_told_of_without_a_banner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCAFFOLDRY_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(Unavailable) as caught, embedded_worker(tmp_path, 1, "process") as worker:
        app = make_app(worker.broker_url)
        assert any(app.control.ping(timeout=1.0) for _ in range(60)), "the worker does not answer"
        worker.check()
        worker._process.send_signal(signal.SIGTERM)
        worker._process.wait(30)
        worker.check()
    assert str(caught.value) == "The worker ended (exit code 0). worker: Warm shutdown (MainProcess)"


def test_why_a_worker_could_not_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught, embedded_worker(tmp_path, 1, "nonsense") as worker:
        worker._process.wait(60)
        worker.check()
    assert str(caught.value).startswith("The worker ended (exit code 2). There is no sandbox named 'nonsense'")
