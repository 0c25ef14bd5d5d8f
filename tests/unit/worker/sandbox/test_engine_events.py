"""How a container ended, by an engine's events, of which it keeps the last 256."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import ReadTimeoutError

from shared.errors import HostTrouble
from worker.sandbox.docker import Engine
from worker.sandbox.docker_client import bounds

ENDED = 1_700_000_000


class Stream:
    """Events, and then silence, as the SDK tells of it, or the end."""

    def __init__(self, events: list[dict[str, Any]], *, silent: bool) -> None:
        self._events, self._silent = events, silent

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from self._events
        if self._silent:
            raise ReadTimeoutError(HTTPConnectionPool("localhost"), "/events", "Read timed out.")

    def close(self) -> None:
        """Nothing is open."""


class Client:
    """The SDK's, as far as a container's end goes."""

    def __init__(self, of_container: list[str], kept: int = 0, oldest: float = ENDED) -> None:
        self._of_container = of_container
        self._kept = [{"Action": "oom", "timeNano": int((oldest + n) * 1e9)} for n in range(kept)]

    def events(self, filters: object = None, until: int | None = None, **_: object) -> Stream:
        assert bounds.seconds == 6.0, "a third"
        if filters is None:
            assert until is not None, "or it would never end"
            return Stream(self._kept, silent=False)
        return Stream([{"Action": action} for action in self._of_container], silent=True)

    def inspect_container(self, name: str) -> dict[str, Any]:
        assert bounds.seconds == 6.0, "a third"
        return {"State": {"FinishedAt": "2023-11-14T22:13:20.000000001Z"}}


def killed(client: Client) -> bool:
    engine = Engine()
    engine._process, engine._connection = os.getpid(), client  # type: ignore[assignment]
    return engine.killed_from_outside("c", 18.0)


@pytest.mark.parametrize(("actions", "expected"), [(["die"], False), (["kill", "die"], True)])
def test_the_first_event_says_it(actions: list[str], expected: bool) -> None:
    assert killed(Client(actions)) is expected


def test_an_end_that_was_displaced_by_younger_events_was_nobody_elses_doing() -> None:
    assert not killed(Client([], kept=256, oldest=ENDED + 1))


@pytest.mark.parametrize(
    "client",
    [Client([]), Client([], kept=12, oldest=ENDED + 1), Client([], kept=256, oldest=ENDED - 1)],
    ids=["no events", "few events, as after a restart", "events from before the end"],
)
def test_an_engine_that_should_know_and_is_silent_is_in_trouble(client: Client) -> None:
    with pytest.raises(HostTrouble, match="could not say how a container ended"):
        killed(client)
