"""Runs of a cancelled experiment are stopped where its mark alone says so."""

import signal
from pathlib import Path
from typing import Any

import pytest
from celery.worker import state as celery_state

from shared.file_manager import ExperimentFileManager
from worker import cancelling
from worker.cancelling import Cancels, MarkWatch, stop_runs

POOL = object()


class Pool:
    """Celery's."""

    def __init__(self) -> None:
        self.terminated: list[int] = []

    def terminate_job(self, pid: int, number: int) -> None:
        assert number == signal.SIGTERM
        self.terminated.append(pid)


class Request:
    """A run under way as Celery knows it."""

    def __init__(self, job: Any, session: Any = 1, pid: int = 0, id: str = "") -> None:
        self.id = id
        self.kwargs = {"job": job, "attempt": 1, "session": session}
        self.worker_pid = pid
        self.killed: list[tuple[object, str]] = []

    def terminate(self, pool: object, signal: str) -> None:
        self.killed.append((pool, signal))


@pytest.fixture
def active(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    requests: list[Request] = []
    monkeypatch.setattr(celery_state, "active_requests", requests)
    monkeypatch.setattr(cancelling, "cancels", Cancels())
    return requests


def test_the_runs_that_are_meant_are_stopped_and_no_others(active: list[Request]) -> None:
    active += [Request({"experiment": "exp"}, id="a"), Request({"experiment": "exp"}, 2, id="b")]
    active += [
        Request({"experiment": "other"}, id="c"),
        Request(None),
        Request("exp"),
        Request({"experiment": ["exp"]}),
        Request({"experiment": "exp"}, None),
    ]
    active[-1].kwargs = None  # type: ignore[assignment]  # as in a message that holds none
    assert stop_runs(POOL, "exp", 1) == ["a"]
    assert [one.killed for one in active] == [[(POOL, "TERM")], [], [], [], [], [], []]
    assert stop_runs(POOL, "exp", 2) == ["b"]
    assert stop_runs(POOL, "no such", 2) == []


def test_a_cancel_is_told_the_same_however_often_it_asks(active: list[Request]) -> None:
    """The slots of those that were stopped have taken up the next: their children see that it is cancelled."""
    active += [Request({"experiment": "exp"}, id="begun"), Request({"experiment": "exp"}, id="ends slowly")]
    assert stop_runs(POOL, "exp", 2) == ["begun", "ends slowly"]
    active.pop(0)
    active += [Request({"experiment": "exp"}, id="dropped")]
    assert stop_runs(POOL, "exp", 2) == ["begun", "ends slowly"]
    assert active[-1].killed, "all the same"
    active += [Request({"experiment": "exp"}, 3, id="of the next session")]
    assert stop_runs(POOL, "exp", 4) == ["of the next session"]


def test_a_mark_on_the_volume_stops_the_sessions_so_far(tmp_path: Path, active: list[Request]) -> None:
    files, other = (ExperimentFileManager.create(tmp_path, name) for name in ("exp", "other"))
    for each in (files, other):
        (tmp_path / each.name / "metadata.json").touch()
        each.begin()
    names = (files.name, files.name, other.name, "../x")
    active += [Request({"experiment": name}, pid=pid) for pid, name in enumerate(names)]
    pool = Pool()
    watch = MarkWatch(pool, tmp_path)
    assert watch.look() == 0
    active.append(Request({"experiment": files.name}, files.cancel() + 1, pid=4))
    assert watch.look() == 2
    assert pool.terminated == [0, 1]
    assert not any(one.killed for one in active), "that would wait for Redis"


def test_the_word_tells_of_what_its_mark_has_stopped(tmp_path: Path, active: list[Request]) -> None:
    files = ExperimentFileManager.create(tmp_path, "exp")
    (tmp_path / files.name / "metadata.json").touch()
    files.begin()
    active += [Request({"experiment": files.name}, id=id) for id in ("gone", "ends slowly")]
    last = files.cancel()
    watch = MarkWatch(Pool(), tmp_path)
    assert watch.look() == 2
    del active[0]  # its child has ended, as the word comes
    assert stop_runs(POOL, "other", last) == []
    assert stop_runs(POOL, files.name, last) == ["ends slowly", "gone"]
    assert watch.look() == 1
    del active[0]
    assert stop_runs(POOL, files.name, last) == ["ends slowly", "gone"]
    assert stop_runs(POOL, files.name, last + 1) == []


def test_a_look_that_fails_is_not_the_last(
    tmp_path: Path, active: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended(BaseException):
        """Nothing else ends the looks."""

    looks = iter([RuntimeError("Set changed size during iteration"), Ended()])

    def look(watch: MarkWatch) -> int:
        raise next(looks)

    monkeypatch.setattr(cancelling, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(MarkWatch, "look", look)
    with pytest.raises(Ended):
        MarkWatch(POOL, tmp_path).watch()


def test_a_volume_that_is_away_stops_nothing(tmp_path: Path, active: list[Request]) -> None:
    active.append(Request({"experiment": "exp_20260101-000000"}))
    assert MarkWatch(POOL, tmp_path / "away").look() == 0
