"""Leaving in good order, step by step: what a worker does in Celery's loop, and what is said while one waits for it."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import state

from shared.errors import NoWorker, UsageError
from shared.settings import get_settings
from worker import drain as drain_command
from worker import draining
from worker.drain import await_end
from worker.draining import Drain, scaffoldry_drain
from worker.names import held_names, is_held, own_name


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SCAFFOLDRY_CACHE_DIR", str(tmp_path / "cache"))
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


MIND_SILENCE = Drain._mind_silence


class Consumer:
    """Takes jobs from two queues."""

    def __init__(self) -> None:
        self.queues = {"one": 1, "two": 2}
        self.app = SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from=self.queues)))

    def cancel_task_queue(self, queue: str) -> None:
        del self.queues[queue]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the worker has under way."""
    found: list[Any] = [SimpleNamespace(argsrepr="scaffold 0 on valid_1", id="x")]
    monkeypatch.setattr(state, "reserved_requests", found)
    monkeypatch.setattr(state, "should_stop", None)
    monkeypatch.setattr(draining, "_drains", [])
    monkeypatch.setattr(Drain, "_mind_silence", lambda self: None)  # its thread would outlive the test
    return found


def test_it_takes_no_more_and_ends_once_nothing_runs(runs: list[Any]) -> None:
    consumer = Consumer()
    drain = Drain(consumer)
    drain.tick()
    assert set(consumer.queues) == {"one", "two"}
    drain.ask()
    assert set(consumer.queues) == {"one", "two"}, "the connection is used by Celery's loop alone"
    for _ in range(3):
        drain.tick()
        assert (consumer.queues, state.should_stop) == ({}, None)
    runs.clear()
    drain.tick()
    assert state.should_stop == 0


def test_asked_over_the_broker_it_says_what_runs(runs: list[Any]) -> None:
    drain = Drain(Consumer())
    draining._drains.append(drain)
    for _ in range(2):
        assert scaffoldry_drain(None) == {"running": ["scaffold 0 on valid_1"]}
    assert drain.asked


def test_without_a_broker_celery_ends_as_it_can(runs: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loop stands still then, and nothing would ever tick."""
    monkeypatch.setattr(draining, "_SILENCE", 0.0)
    MIND_SILENCE(Drain(Consumer()))
    assert state.should_stop == 0


def test_what_is_said_while_waiting() -> None:
    answers = iter(
        [
            {"lab2": ["a", "b"], "lab2-2": ["c"]},
            {"lab2": ["b"], "lab2-2": []},
            {"lab2": ["b"]},
            {"lab2": []},
            {},
        ]
    )
    said: list[str] = []
    asked: list[list[str]] = []

    def ask(workers: list[str]) -> dict[str, list[str]]:
        asked.append(workers)
        return next(answers)

    await_end(ask(["lab2", "lab2-2"]), ["lab2", "lab2-2"], ask, said.append, sleep=lambda _: None)
    assert said == [
        "worker@lab2 takes no new job and finishes 2 runs: a; b.",
        "worker@lab2-2 takes no new job and finishes 1 run: c.",
        "worker@lab2 takes no new job and finishes 1 run: b.",
        "worker@lab2-2 takes no new job and runs none: it is ending.",
        "worker@lab2-2 has gone.",
        "worker@lab2 takes no new job and runs none: it is ending.",
        "worker@lab2 has gone.",
    ]
    assert asked[-2:] == [["lab2"], ["lab2"]]


def test_a_worker_here_has_not_gone_while_it_has_its_name() -> None:
    said: list[str] = []
    turns = iter(range(100))
    name = own_name("lab2")
    name.__enter__()

    def silence(workers: list[str]) -> dict[str, list[str]]:
        if next(turns) == 5:
            name.__exit__(None, None, None)
        return {}

    await_end({"lab2": []}, ["lab2"], silence, said.append, sleep=lambda _: None)
    assert next(turns) == 6
    assert said[-1] == "worker@lab2 has gone."


def test_a_busy_worker_elsewhere_may_miss_a_question() -> None:
    answers = iter([{}, {}, {"lab3": ["a"]}, {}, {}, {}])
    said: list[str] = []
    await_end({"lab3": ["a"]}, [], lambda _: next(answers), said.append, sleep=lambda _: None)
    assert said[-1] == "worker@lab3 has gone."
    assert list(answers) == []


def test_the_names_that_living_workers_of_this_host_have() -> None:
    assert (held_names("lab2"), is_held("lab2")) == ([], False)
    with own_name("lab2"), own_name("lab2") as second, own_name("lab20"), own_name("lab2-x"):
        assert second == "lab2-2"
        assert held_names("lab2") == ["lab2", "lab2-2"]
    assert held_names("lab2") == []


def test_there_may_be_nobody_to_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCAFFOLDRY_BROKER_URL", "redis://:secret@head:6379/0")
    get_settings.cache_clear()
    monkeypatch.setattr(drain_command, "check_broker", lambda *_: None)
    monkeypatch.setattr(drain_command, "_ask", lambda workers: {})
    with pytest.raises(NoWorker, match=r"No worker named lab2 listens on redis://head:6379/0, so") as caught:
        drain_command.drain("lab2", print)
    assert caught.value.exit_code == 3


def test_draining_needs_a_broker() -> None:
    with pytest.raises(UsageError, match="SCAFFOLDRY_BROKER_URL"):
        drain_command.drain("lab2", print)
