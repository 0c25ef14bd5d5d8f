"""When a worker takes itself for deaf, and what it does then."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker.consumer import Consumer as CelerysConsumer

from shared.queue import make_app
from worker import watchdog
from worker.watchdog import DEAF_LOOKS, RESTARTS, STUCK_LOOKS, Hearing, Verdict, Watchdog

WELL, DEAF, STUCK = Verdict.WELL, Verdict.DEAF, Verdict.STUCK


def looks(
    count: int, waiting: int | None = 1, *, took: bool = False, room: bool = True, turned: bool = True
) -> list[Verdict]:
    hearing = Hearing()
    return [hearing.look(waiting, took=took, room=room, turned=turned) for _ in range(count)]


def test_a_worker_that_takes_nothing_while_jobs_wait_is_deaf() -> None:
    assert looks(DEAF_LOOKS) == [*[WELL] * (DEAF_LOOKS - 1), DEAF]


@pytest.mark.parametrize(
    "looked",
    [{"waiting": 0}, {"waiting": None}, {"took": True}, {"room": False}, {"waiting": None, "turned": False}],
    ids=str,
)
def test_a_worker_is_well_that(looked: dict[str, Any]) -> None:
    """Has nothing to take, cannot know, takes some, is full, or waits for a Redis that is away."""
    assert set(looks(200, **looked)) == {WELL}


def test_a_job_that_is_taken_between_the_looks_shows_that_it_hears() -> None:
    hearing = Hearing()
    for number in range(20 * DEAF_LOOKS):
        took = number % DEAF_LOOKS == DEAF_LOOKS - 1
        assert hearing.look(1, took=took, room=True, turned=True) is WELL


def test_where_a_new_connection_does_not_help_the_process_begins_anew() -> None:
    verdicts = [verdict for verdict in looks(DEAF_LOOKS * (RESTARTS + 1)) if verdict is not WELL]
    assert verdicts == [*[DEAF] * RESTARTS, STUCK]


def test_a_restart_that_helped_is_forgotten() -> None:
    hearing = Hearing()
    for _ in range(3 * RESTARTS):
        assert [hearing.look(1, took=False, room=True, turned=True) for _ in range(DEAF_LOOKS)][-1] is DEAF
        hearing.look(1, took=True, room=True, turned=True)


def test_a_loop_that_stands_still_while_redis_answers_is_stuck_whatever_waits() -> None:
    assert looks(STUCK_LOOKS, 0, room=False, turned=False) == [*[WELL] * (STUCK_LOOKS - 1), STUCK]


class Consumer:
    """Celery's, as far as its loop takes calls from other threads."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.hub = SimpleNamespace(call_soon=self.calls.append)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Jobs wait, and there is room; how often Redis was asked."""
    asked: list[int] = []
    monkeypatch.setattr(watchdog, "jobs_waiting", lambda: asked.append(1) or 7)
    monkeypatch.setattr(watchdog, "has_room", lambda: True)
    monkeypatch.setattr(watchdog, "is_leaving", lambda: False)
    yield asked


def test_a_deaf_workers_loop_finds_its_connection_lost(looked: list[int]) -> None:
    consumer, begun = Consumer(), list[str]()
    dog = Watchdog(consumer, lambda: begun.append("anew"))
    for _ in range(DEAF_LOOKS):
        dog.tick()
        dog.look()
    (lose,) = consumer.calls
    with pytest.raises(ConnectionResetError):
        lose()
    assert begun == []


def test_a_worker_whose_loop_stands_still_begins_anew(looked: list[int]) -> None:
    consumer, begun = Consumer(), list[str]()
    dog = Watchdog(consumer, lambda: begun.append("anew"))
    for _ in range(STUCK_LOOKS):
        dog.look()
    assert (consumer.calls, begun) == ([], ["anew"])


def test_redis_is_asked_by_those_alone_who_have_nothing_to_do(
    looked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    dog = Watchdog(Consumer(), lambda: None)
    for _ in range(5):
        dog.tick()
        dog.received()
        dog.look()
    assert looked == []
    monkeypatch.setattr(watchdog, "has_room", lambda: False)
    dog.tick()
    dog.look()
    assert looked == []
    monkeypatch.setattr(watchdog, "has_room", lambda: True)
    dog.tick()
    dog.look()
    assert looked == [1]


def test_a_worker_that_leaves_is_not_kept(looked: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "is_leaving", lambda: True)
    consumer, begun = Consumer(), list[str]()
    dog = Watchdog(consumer, lambda: begun.append("anew"))
    for _ in range(2 * STUCK_LOOKS):
        dog.look()
    assert (consumer.calls, begun) == ([], [])


def test_a_worker_whose_consumer_was_cancelled_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not deaf, whatever waits: somebody wants it to take nothing."""
    app = make_app(None, "scaffoldry.jobs")
    monkeypatch.setattr(watchdog, "app", app)
    monkeypatch.setattr(watchdog, "trouble", SimpleNamespace(read=lambda: ""))
    assert watchdog.has_room()
    celerys = CelerysConsumer.__new__(CelerysConsumer)
    celerys.app, celerys.task_consumer = app, app.amqp.TaskConsumer(app.connection().default_channel)
    celerys.cancel_task_queue("scaffoldry.jobs")
    assert not watchdog.has_room()
    celerys.add_task_queue("scaffoldry.jobs")
    assert watchdog.has_room()


def test_a_look_that_fails_is_not_the_last(looked: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    dog = Watchdog(Consumer(), lambda: None)
    done: list[int] = []

    def look() -> None:
        done.append(1)
        raise RuntimeError("no idea")

    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(watchdog, "is_leaving", lambda: len(done) == 3)
    monkeypatch.setattr(dog, "look", look)
    dog.watch()
    assert len(done) == 3
