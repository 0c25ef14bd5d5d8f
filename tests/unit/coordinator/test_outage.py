"""What is an absence of Redis, and what is said of one."""

from collections.abc import Callable

import pytest
from kombu.exceptions import OperationalError
from redis.exceptions import AuthenticationError, NoPermissionError, OutOfMemoryError
from redis.exceptions import ConnectionError as RedisConnectionError

from coordinator import outage
from coordinator.outage import Outage
from shared.errors import BrokerUnavailable, Cancelled
from shared.queue import make_app


def wrapped(error: Exception) -> OperationalError:
    """The error as Kombu raises it."""
    whole = OperationalError(str(error))
    whole.__cause__ = error
    return whole


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str], int], Outage]:
    """An outage whose Redis answers after that many questions, and where what is said of it goes."""

    def make(said: list[str], absences: int) -> Outage:
        left = iter([RedisConnectionError("Connection refused.")] * absences)

        def ping(app: object) -> None:
            for error in left:
                raise error

        monkeypatch.setattr(outage, "ping", ping)
        monkeypatch.setattr(outage.time, "sleep", lambda seconds: None)
        return Outage(make_app("redis://u:hunter2@127.0.0.1:1/0"), "here", said.append)

    return make


def test_it_is_waited_for_and_said_once(away: Callable[[list[str], int], Outage]) -> None:
    said: list[str] = []
    one = away(said, 5)
    assert not one.ended()
    assert one.wait(wrapped(RedisConnectionError("Connection closed by server.")))
    assert [" ".join(line.split()[:6]) for line in said] == [
        "The broker at here is away:",
        "The broker at here is back.",
    ]
    assert "Connection refused" in said[0] and "Ctrl-C" in said[0]
    assert (one.ended(), one.ended()) == (True, False)


def test_one_that_is_noticed_late_is_not_said_again(away: Callable[[list[str], int], Outage]) -> None:
    """A connection that nobody used meanwhile fails when Redis has long been back."""
    said: list[str] = []
    one = away(said, 1)
    assert one.wait(RedisConnectionError("Connection refused."))
    assert one.wait(RedisConnectionError("Connection closed by server."))
    assert len(said) == 2
    assert one.ended(), "what was to come over that connection may be lost all the same"


def test_a_refusal_is_not_waited_out(away: Callable[[list[str], int], Outage]) -> None:
    said: list[str] = []
    one = away(said, 0)
    assert not one.wait(wrapped(OutOfMemoryError("command not allowed when used memory > 'maxmemory'")))
    assert (said, one.ended()) == ([], False)


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (AuthenticationError("invalid username-password pair"), "refuses the user 'u' or its password"),
        (NoPermissionError("no permissions to run the 'ping' command"), "does not let the user 'u'"),
    ],
)
def test_one_that_comes_back_and_refuses_ends_the_session(
    away: Callable[[list[str], int], Outage], monkeypatch: pytest.MonkeyPatch, refusal: Exception, sentence: str
) -> None:
    said: list[str] = []
    one = away(said, 0)
    absences = [RedisConnectionError("refused"), refusal]

    def ping(app: object) -> None:
        raise absences.pop(0)

    monkeypatch.setattr(outage, "ping", ping)
    try:
        raise wrapped(RedisConnectionError("Connection refused."))
    except OperationalError as error:  # as its users do: what follows is raised in the handling of the first absence
        with pytest.raises(BrokerUnavailable, match=sentence) as caught:
            one.wait(error)
    assert "hunter2" not in str(caught.value)
    assert not one.wait(wrapped(refusal)), "it is none to begin with"


def test_a_cancel_is_heard_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where we ask, and where Celery does."""
    monkeypatch.setattr(outage.time, "sleep", lambda seconds: None)

    def cancelled() -> None:
        raise Cancelled

    app = make_app("redis://127.0.0.1:1/0")
    one = Outage(app, "here", lambda sentence: None, cancelled)
    with pytest.raises(Cancelled):
        one.wait(RedisConnectionError("refused"))
    with pytest.raises(Cancelled):
        app.backend.ensure(lambda: app.backend.client.ping(), ())


def test_celery_does_not_wait_for_one_that_refuses() -> None:
    app = make_app("redis://u:hunter2@127.0.0.1:1/0")
    Outage(app, "here", lambda sentence: None)

    def refused() -> None:
        raise AuthenticationError("WRONGPASS")

    with pytest.raises(BrokerUnavailable, match="refuses the user 'u'"):
        app.backend.ensure(refused, ())
