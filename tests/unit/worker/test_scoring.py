"""``score_outcome``: every way a scorer can go wrong, and the ways out that are not the scorer's."""

import math
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from shared.errors import InfraError, ScorerError
from shared.models import Example, RunOutcome, Status
from shared.scorers import ProgramRunner, Score, Scorer
from worker.scoring import Scored, ScorerTimeout, score_outcome

EXAMPLE = Example(id="1", input="?", fields={"answer": "B"})
OK = RunOutcome(status=Status.OK, output="B")


class Scripted(Scorer):
    """Does what it is told to."""

    name = "scripted"

    def __init__(self, act: Callable[[], Any], *, run_program: ProgramRunner | None = None) -> None:
        self.act = act
        self.calls = 0

    def score(self, output: str, example: Example) -> Score:
        self.calls += 1
        return self.act()  # type: ignore[no-any-return]


class RunsPrograms(Scripted):
    needs_sandbox = True


def raising(error: BaseException) -> Callable[[], Any]:
    def act() -> Any:
        raise error

    return act


def recursing() -> Any:
    return recursing()


def test_a_score_is_passed_on() -> None:
    scorer = Scripted(lambda: Score(value=0.5, feedback="half"))
    assert score_outcome(scorer, OK, EXAMPLE) == Scored(status=Status.OK, score=0.5, feedback="half")


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
def test_only_ok_outcomes_are_scored(status: Status) -> None:
    scorer = Scripted(lambda: Score(value=1.0))
    scored = score_outcome(scorer, RunOutcome(status=status, error_message="why"), EXAMPLE)
    expected = None if status is Status.INFRA_ERROR else 0.0
    assert scored == Scored(status=status, score=expected, error_message="why")
    assert scorer.calls == 0


WRONG: list[tuple[str, Callable[[], Any], str]] = [
    ("exception", raising(ValueError("bad")), "ValueError: bad"),
    ("assertion", raising(AssertionError()), "AssertionError"),
    ("exit", raising(SystemExit(0)), "SystemExit"),
    ("sys.exit", lambda: sys.exit("bye"), "SystemExit: bye"),
    ("interrupt", raising(KeyboardInterrupt()), "KeyboardInterrupt"),
    ("memory", raising(MemoryError()), "MemoryError"),
    ("recursion", recursing, "RecursionError"),
    ("scorer error", raising(ScorerError("No such field.")), "No such field."),
    ("unprintable", raising(type("E", (Exception,), {"__str__": lambda self: 1})()), "E: "),
    ("surrogate", raising(ValueError("\ud800")), "ValueError: ?"),
    ("nan", lambda: Score.model_construct(value=math.nan, feedback=None), "answered nan"),
    ("infinity", lambda: Score.model_construct(value=math.inf, feedback=None), "answered inf"),
    ("invalid score", lambda: Score(value=math.nan), "finite number"),
    ("a float", lambda: 1.0, "answered a float instead of a Score"),
    ("nothing", lambda: None, "answered a NoneType"),
]


@pytest.mark.parametrize(("act", "message"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_a_scorer_does_wrong_is_a_status(act: Callable[[], Any], message: str) -> None:
    scored = score_outcome(Scripted(act), OK, EXAMPLE)
    assert (scored.status, scored.score, scored.feedback) == (Status.SCORER_ERROR, 0.0, None)
    assert message in (scored.error_message or "")
    assert len(scored.error_message or "") < 5_000
    assert Scored.model_validate_json(scored.model_dump_json()) == scored


def test_the_message_says_where_the_scorer_failed() -> None:
    scored = score_outcome(Scripted(raising(ValueError("bad"))), OK, EXAMPLE)
    assert "test_scoring.py" in (scored.error_message or "")


def test_a_failure_of_the_machinery_passes_through() -> None:
    with pytest.raises(InfraError, match="gone"):
        score_outcome(Scripted(raising(InfraError("The sandbox is gone."))), OK, EXAMPLE)


def test_feedback_is_bounded_and_can_be_written() -> None:
    scorer = Scripted(lambda: Score.model_construct(value=1.0, feedback="\ud800" + "x" * 1_000_000))
    scored = score_outcome(scorer, OK, EXAMPLE)
    assert scored.feedback and scored.feedback[0] == "?" and len(scored.feedback) < 5_000


def spin() -> Any:
    while True:
        pass


def swallow() -> Any:
    try:
        spin()
    except Exception:
        return Score(value=1.0)


def stubborn() -> Any:
    """Swallows the first timeout, as a bare ``except`` would; the next comes a second later."""
    try:
        spin()
    except BaseException:
        spin()


def backtrack() -> Any:
    return re.match(r"(a+)+$", "a" * 64 + "b")


@pytest.mark.parametrize("act", [spin, swallow, stubborn, backtrack, lambda: time.sleep(60)])
def test_a_scorer_that_does_not_end_is_ended(act: Callable[[], Any]) -> None:
    scored = score_outcome(Scripted(act), OK, EXAMPLE, time_limit=0.2)
    assert scored == Scored(status=Status.SCORER_ERROR, score=0.0, error_message="The scorer took longer than 0.2 s.")


def test_the_time_limit_leaves_handler_and_timer_as_they_were() -> None:
    fired: list[int] = []

    def mine(number: int, frame: FrameType | None) -> None:
        fired.append(number)

    previous = signal.signal(signal.SIGALRM, mine)
    timer = signal.setitimer(signal.ITIMER_REAL, 50.0, 3.0)
    try:
        score_outcome(Scripted(lambda: Score(value=1.0)), OK, EXAMPLE, time_limit=5)
        left, interval = signal.getitimer(signal.ITIMER_REAL)
        assert signal.getsignal(signal.SIGALRM) is mine
        assert 0 < left <= 50.0 and interval == 3.0
        score_outcome(Scripted(spin), OK, EXAMPLE, time_limit=0.1)
        assert signal.getsignal(signal.SIGALRM) is mine
        assert fired == []
    finally:
        signal.signal(signal.SIGALRM, previous)
        signal.setitimer(signal.ITIMER_REAL, *timer)


def test_no_limit_for_a_scorer_that_runs_programs() -> None:
    timers: list[float] = []

    def look() -> Score:
        timers.append(signal.getsignal(signal.SIGALRM) is before)
        return Score(value=1.0)

    before = signal.getsignal(signal.SIGALRM)
    score_outcome(RunsPrograms(look), OK, EXAMPLE, time_limit=0.01)
    assert timers == [True]


def test_another_thread_scores_without_a_limit() -> None:
    results: list[Scored] = []

    def work() -> None:
        results.append(score_outcome(Scripted(lambda: Score(value=1.0)), OK, EXAMPLE))
        results.append(score_outcome(Scripted(raising(SystemExit(1))), OK, EXAMPLE))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert [result.status for result in results] == [Status.OK, Status.SCORER_ERROR]


@contextmanager
def handler(number: signal.Signals, error: BaseException | None) -> Iterator[list[int]]:
    """As a worker's own machinery would: a handler that raises ``error``."""
    calls: list[int] = []

    def handle(received: int, frame: FrameType | None) -> None:
        calls.append(received)
        if error is not None:
            raise error

    previous = signal.signal(number, handle)
    try:
        yield calls
        assert signal.getsignal(number) is handle
    finally:
        signal.signal(number, previous)


def signalled(number: signal.Signals, then: Callable[[], Any]) -> Callable[[], Any]:
    def act() -> Any:
        os.kill(os.getpid(), number)
        return then()

    return act


def swallowed(number: signal.Signals) -> Callable[[], Any]:
    def act() -> Any:
        try:
            os.kill(os.getpid(), number)
            spin()
        except BaseException:
            return Score(value=1.0)

    return act


def replaced(number: signal.Signals) -> Callable[[], Any]:
    def act() -> Any:
        try:
            os.kill(os.getpid(), number)
            spin()
        except BaseException:
            raise ValueError("something else") from None

    return act


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (signal.SIGTERM, SystemExit(15)),
        (signal.SIGINT, KeyboardInterrupt()),
        (signal.SIGUSR1, RuntimeError("soft time limit")),
        (signal.SIGQUIT, SystemExit(3)),
    ],
)
@pytest.mark.parametrize("way", ["passes on", "swallows", "replaces"])
def test_what_the_workers_own_handlers_raise_is_not_the_scorers(
    number: signal.Signals, error: BaseException, way: str
) -> None:
    act = {"passes on": signalled(number, spin), "swallows": swallowed(number), "replaces": replaced(number)}[way]
    with handler(number, error), pytest.raises(type(error)) as caught:
        score_outcome(Scripted(act), OK, EXAMPLE)
    assert caught.value is error


def test_a_handler_that_only_takes_note_changes_nothing() -> None:
    with handler(signal.SIGTERM, None) as calls:
        act = signalled(signal.SIGTERM, lambda: Score(value=1.0))
        assert score_outcome(Scripted(act), OK, EXAMPLE).score == 1.0
    assert calls == [signal.SIGTERM]


def test_an_exit_of_the_scorers_own_is_still_its_own_where_handlers_are_set() -> None:
    with handler(signal.SIGTERM, SystemExit(15)) as calls:
        assert score_outcome(Scripted(raising(SystemExit(15))), OK, EXAMPLE).status is Status.SCORER_ERROR
    assert calls == []


def test_the_timeout_is_no_exception_that_scorers_catch() -> None:
    assert not issubclass(ScorerTimeout, Exception)
