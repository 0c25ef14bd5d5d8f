"""What ``doctor`` finds of broker and workers."""

from pathlib import Path
from typing import Any

import pytest

from coordinator import doctor
from coordinator.doctor import doctor_workers
from shared.file_manager import ExperimentFileManager

URL = "redis://:secret@127.0.0.1:6379/0"


class App:
    """Stands for the Celery app: each worker's answer is what its function gives for (experiment, token)."""

    def __init__(self, *workers: Any) -> None:
        self.workers = workers
        self.control = self

    def inspect(self, timeout: float) -> "App":
        return self

    def _request(self, command: str, experiment: str, token: str) -> dict[str, Any]:
        assert command == "scaffoldry_probe"
        return {str(number): worker(experiment, token) for number, worker in enumerate(self.workers)}


def worker_on(data_dir: Path, name: str) -> Any:
    """A worker that sees ``data_dir`` as the data directory."""

    def answer(experiment: str, token: str) -> dict[str, Any]:
        volume = ExperimentFileManager(data_dir / experiment).answer_probe(token, name)
        return {"worker": name, "slots": 2, "version": "1", "volume": volume}

    return answer


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(*workers: Any) -> None:
        monkeypatch.setattr(doctor, "make_app", lambda url: App(*workers))
        monkeypatch.setattr(doctor, "check_broker", lambda app, where: None)

    return use


def test_no_broker_is_no_fault(tmp_path: Path) -> None:
    assert [finding.ok for finding in doctor_workers(None, tmp_path)] == [True]


def test_each_worker_is_asked_whether_it_shares_the_volume(install: Any, tmp_path: Path) -> None:
    here = tmp_path / "here"
    install(worker_on(here, "near"), worker_on(tmp_path / "there", "far"))
    broker, near, far = doctor_workers(URL, here)
    assert (broker.ok, near.ok, far.ok) == (True, True, False)
    assert "secret" not in broker.detail and near.check == "worker near"
    assert "is not the coordinator's" in far.detail and far.fix is not None
    assert list(here.iterdir()) == [], "the probe is gone"


def test_no_worker_answers(install: Any, tmp_path: Path) -> None:
    install()
    _, workers = doctor_workers(URL, tmp_path)
    assert (workers.ok, workers.fix) == (False, "scaffoldry worker --broker-url redis://127.0.0.1:6379/0")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [ConnectionError("the broker went away"), KeyboardInterrupt()])
def test_the_probe_is_removed_whatever_happens(install: Any, tmp_path: Path, error: BaseException) -> None:
    def fail(experiment: str, token: str) -> None:
        assert (tmp_path / experiment / "token").read_text() == token
        raise error

    install(fail)
    with pytest.raises(type(error)):
        doctor_workers(URL, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory_that_cannot_be_written_is_what_is_told(install: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    install()
    with pytest.raises(NotADirectoryError):
        doctor_workers(URL, tmp_path / "file")
