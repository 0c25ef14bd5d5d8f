"""What becomes of containers that an engine is slow or unable to remove."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from shared.errors import InfraError
from worker.sandbox import removal
from worker.sandbox.removal import Removals


class ReluctantEngine:
    """Removes no container of ``busy``, and none at all before it ``may``."""

    def __init__(self, *busy: str) -> None:
        self.busy = set(busy)
        self.removed: list[str] = []
        self.may = threading.Event()
        self.may.set()
        self.threads = ThreadPoolExecutor(4)

    def later(self, call: Any, *args: Any) -> "Future[Any]":
        return self.threads.submit(call, *args)

    def remove(self, name: str, seconds: float = 20.0) -> None:
        self.may.wait(30)
        if name in self.busy:
            raise InfraError(f"{name} is busy")
        self.removed.append(name)


@pytest.fixture
def pursued(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Who is asked for again and again; nobody is here."""
    found: list[str] = []
    monkeypatch.setattr(Removals, "pursue", lambda self, name: found.append(name))
    monkeypatch.setattr(Removals._try.retry, "sleep", lambda seconds: None)  # type: ignore[attr-defined]
    yield found


def removals(engine: ReluctantEngine) -> Removals:
    return Removals(engine)  # type: ignore[arg-type]


def test_a_failure_of_long_ago_is_no_matter_of_those_who_settle(pursued: list[str]) -> None:
    engine = ReluctantEngine("old")
    mine = removals(engine)
    mine.defer("old")
    mine._under_way[0].exception(30)
    mine.defer("new")
    mine.settle()
    assert (pursued, engine.removed) == (["old"], ["new"])


def test_one_that_fails_keeps_nobody_from_waiting_for_the_others(pursued: list[str]) -> None:
    engine = ReluctantEngine("second")
    mine = removals(engine)
    engine.may.clear()
    mine.defer("first")
    mine.defer("second")
    threading.Timer(0.2, engine.may.set).start()
    with pytest.raises(InfraError, match="second is busy"):
        mine.settle()
    assert (pursued, engine.removed) == (["second"], ["first"])
    mine.settle()


def test_one_that_takes_too_long_can_be_waited_for_again(pursued: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "_PATIENCE", 0.05)
    engine = ReluctantEngine()
    mine = removals(engine)
    engine.may.clear()
    mine.defer("slow")
    with pytest.raises(InfraError, match="takes too long"):
        mine.settle()
    engine.may.set()
    monkeypatch.setattr(removal, "_PATIENCE", 30.0)
    mine.settle()
    assert engine.removed == ["slow"]


def test_a_pursuit_asks_at_once_and_until_it_has_been_gone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that did not answer may make the container later: then it is there to be removed once more."""
    asked: list[str] = []

    class Engine:
        def remove(self, name: str) -> None:
            asked.append("remove")
            if len(asked) in (1, 7):
                raise InfraError("no answer")

    monkeypatch.setattr(removal.time, "sleep", lambda seconds: asked.append(f"wait {seconds:g}"))
    Removals(Engine())._pursue("mine")  # type: ignore[arg-type]
    assert asked == ["remove", "wait 3"] * (1 + 2 + 1 + removal._TIMES_GONE)
