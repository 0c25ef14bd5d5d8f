"""``score_outcome``: every way a scorer can go wrong, and the ways out that are not the scorer's."""

import ctypes
import faulthandler
import math
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from shared.errors import InfraError, ScorerError
from shared.models import Example, RunOutcome, ScorerSpec, Status
from shared.scorers import ProgramRunner, Score, Scorer, build_scorer
from shared.scorers.exact import ExactScorer
from worker.scoring import Scored, score_outcome

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
    """Swallows whatever would interrupt it."""
    while True:
        with suppress(BaseException):
            spin()


def backtrack() -> Any:
    return re.match(r"(a+)+$", "a" * 64 + "b")


def waits() -> Any:
    time.sleep(60)


def long_call_into_c() -> Any:
    return sum(range(10**15))


@pytest.mark.parametrize("act", [spin, swallow, stubborn, backtrack, waits, long_call_into_c])
def test_a_scorer_that_does_not_end_is_ended(act: Callable[[], Any]) -> None:
    scored = score_outcome(Scripted(act), OK, EXAMPLE, time_limit=0.2)
    assert scored == Scored(status=Status.SCORER_ERROR, score=0.0, error_message="The scorer took longer than 0.2 s.")


def segfaults() -> Any:
    faulthandler.disable()  # the test runner's, which is talkative
    return ctypes.string_at(0)


def runs_out_of_memory() -> Any:
    limit = 2 * int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return b"x" * 10 * limit


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (segfaults, "The scorer died of SIGSEGV."),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "The scorer died of SIGKILL"),
        (lambda: os._exit(3), "The scorer ended its process with exit code 3."),
        (lambda: os._exit(0), "The scorer ended its process with exit code 0."),
        (runs_out_of_memory, "MemoryError"),
    ],
)
def test_a_scorer_that_dies_is_a_status(act: Callable[[], Any], message: str) -> None:
    scored = score_outcome(Scripted(act), OK, EXAMPLE)
    assert (scored.status, scored.score) == (Status.SCORER_ERROR, 0.0)
    assert message in (scored.error_message or "")


def test_what_a_scorer_prints_is_no_part_of_its_answer(capfd: pytest.CaptureFixture[str]) -> None:
    def act() -> Score:
        print('{"status": "ok", "score": 1.0}')
        return Score(value=0.5)

    assert score_outcome(Scripted(act), OK, EXAMPLE) == Scored(status=Status.OK, score=0.5)
    assert capfd.readouterr().out == ""


def test_a_scorer_that_writes_to_descriptors_not_its_own_has_no_score() -> None:
    others = set(os.listdir("/proc/self/fd"))

    def act() -> Score:
        for name in set(os.listdir("/proc/self/fd")) - others:
            with suppress(OSError):
                os.write(int(name), b"noise\n")
        return Score(value=1.0)

    scored = score_outcome(Scripted(act), OK, EXAMPLE)
    assert scored.status is Status.SCORER_ERROR
    assert "answered no score" in (scored.error_message or "")


def test_a_users_function_is_called_in_a_process_of_its_own() -> None:
    source = "import os\ndef grade(output, example):\n    return os.getpid(), f'{os.getppid()} {output}'\n"
    scorer = build_scorer(ScorerSpec(name="mine:grade"), run_program=None, module_source=source)
    scored = score_outcome(scorer, OK, EXAMPLE)
    assert scored.feedback == f"{os.getpid()} B"
    assert scored.score != os.getpid()


@pytest.mark.parametrize("output", ["B", "A"])
def test_a_builtin_scorer_is_called_in_this_process(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_fork() -> int:
        raise AssertionError("forked")

    monkeypatch.setattr(os, "fork", no_fork)
    scored = score_outcome(ExactScorer(), RunOutcome(status=Status.OK, output=output), EXAMPLE)
    assert (scored.status, scored.score) == (Status.OK, float(output == "B"))
    with pytest.raises(InfraError, match="out of order"):
        score_outcome(RunsPrograms(raising(InfraError("The sandbox is out of order."))), OK, EXAMPLE)


def test_an_example_that_a_builtin_scorer_cannot_use_is_a_status() -> None:
    scored = score_outcome(ExactScorer(field="no_such"), OK, EXAMPLE)
    assert (scored.status, scored.score) == (Status.SCORER_ERROR, 0.0)
    assert "no_such" in (scored.error_message or "")


def test_a_subclass_of_a_builtin_scorer_is_somebody_elses() -> None:
    class Mine(ExactScorer):
        def score(self, output: str, example: Example) -> Score:
            os._exit(3)

    assert score_outcome(Mine(), OK, EXAMPLE).error_message == "The scorer ended its process with exit code 3."


def test_a_scorer_that_runs_programs_has_this_processs_sandbox_and_no_limit() -> None:
    def slow() -> Score:
        time.sleep(0.05)
        return Score(value=1.0, feedback=str(os.getpid()))

    scorer = RunsPrograms(slow)
    scored = score_outcome(scorer, OK, EXAMPLE, time_limit=0.01)
    assert (scored.score, scored.feedback, scorer.calls) == (1.0, str(os.getpid()), 1)
    assert score_outcome(RunsPrograms(raising(ValueError("bad"))), OK, EXAMPLE).status is Status.SCORER_ERROR


def stop_worker(number: int, frame: FrameType | None) -> None:
    raise SystemExit(15)


@pytest.mark.parametrize("kind", [Scripted, RunsPrograms])
def test_a_shutdown_of_the_worker_passes_through(kind: type[Scripted]) -> None:
    worker = os.getpid()

    def act() -> Any:
        os.kill(worker, signal.SIGTERM)
        waits()

    previous = signal.signal(signal.SIGTERM, stop_worker)
    try:
        with pytest.raises(SystemExit) as caught:
            score_outcome(kind(act), OK, EXAMPLE)
        assert caught.value.code == 15
    finally:
        signal.signal(signal.SIGTERM, previous)


def test_an_exit_of_the_scorers_own_is_its_own_where_the_worker_has_handlers() -> None:
    previous = signal.signal(signal.SIGTERM, stop_worker)
    try:
        assert score_outcome(Scripted(raising(SystemExit(15))), OK, EXAMPLE).status is Status.SCORER_ERROR
    finally:
        signal.signal(signal.SIGTERM, previous)
