"""The thread that renews a process's leases."""

import threading
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from shared.leases import Renewer

PAUSE = 0.02


class Broker:
    """Takes renewals; where it ``hangs``, only once it is ``freed``."""

    def __init__(self) -> None:
        self.renewed: list[str] = []
        self.put_once = threading.Event()
        self.hangs = False
        self.freed = threading.Event()

    def put(self, name: str, value: str) -> None:
        self.renewed.append(f"{name}={value}")
        self.put_once.set()
        if self.hangs:
            assert self.freed.wait(30)

    def wait(self) -> None:
        """Return after the next renewal."""
        self.put_once.clear()
        assert self.put_once.wait(30)


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def renewer(broker: Broker) -> Iterator[Renewer]:
    made = Renewer(broker.put, PAUSE)
    made.start()
    yield made
    broker.freed.set()
    made.end()
    made.join(30)
    assert not made.is_alive()


def values(text: str) -> Iterator[str]:
    return (f"{text}{number}" for number in count())


def settled(condition: Callable[[], bool]) -> bool:
    return any(condition() or threading.Event().wait(PAUSE) for _ in range(500))


def test_each_lease_is_renewed_with_its_own_values_until_it_is_let_go(broker: Broker, renewer: Renewer) -> None:
    renewer.add("a", values("x"))
    renewer.add("b", values("y"))
    assert settled(lambda: {"a=x0", "a=x1", "b=y0", "b=y1"} <= set(broker.renewed))
    assert renewer.remove("a")
    so_far = broker.renewed.copy()
    broker.wait()
    broker.wait()
    assert all(one.startswith("b=") for one in broker.renewed[len(so_far) :])
    assert renewer.remove("b") and renewer.remove("b"), "letting go twice is no harm"


def test_one_that_hangs_says_so_and_ends_once_it_can(broker: Broker, renewer: Renewer) -> None:
    broker.hangs = True
    renewer.add("a", values("x"))
    broker.wait()
    assert not renewer.remove("a")
    broker.freed.set()
    renewer.join(30)
    assert not renewer.is_alive()
    assert broker.renewed == ["a=x0"]
