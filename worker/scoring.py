"""Scoring one outcome: what a scorer does wrong becomes a status, never a crash, and never a lost shutdown."""

import math
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pydantic import FiniteFloat

from shared.errors import InfraError, ScorerError
from shared.models import Example, Frozen, RunOutcome, Status
from shared.scorers.base import Score, Scorer

TIME_LIMIT = 60.0
_MAX_TEXT = 4_000
_TRACEBACK_LINES = 8
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
"""The signals by which a worker's own machinery may raise in the middle of a job (SIGUSR1: Celery's soft limit)."""

Handler = Callable[[int, FrameType | None], Any]


class Scored(Frozen):
    """A run's status and score. ``score`` is None for ``infra_error`` alone."""

    status: Status
    score: FiniteFloat | None
    feedback: str | None = None
    error_message: str | None = None


class ScorerTimeout(BaseException):
    """The scorer took too long. No Exception, so that a scorer's own ``except Exception`` lets it through."""


def score_outcome(
    scorer: Scorer, outcome: RunOutcome, example: Example, time_limit: float | None = TIME_LIMIT
) -> Scored:
    """What a run is worth.

    Only an ``ok`` outcome is scored; any other is the program's 0.0, or None where the machinery failed. InfraError
    passes through, and so does whatever a signal handler of the worker raises meanwhile (Celery's SystemExit on
    SIGTERM, KeyboardInterrupt). Everything else a scorer raises is ``scorer_error``.

    ``time_limit``: seconds; it holds in the main thread, where signals arrive, and not for a scorer that runs
    programs, whose sandbox has deadlines of its own.
    """
    if outcome.status is Status.INFRA_ERROR:
        return Scored(status=outcome.status, score=None, error_message=outcome.error_message)
    if outcome.status is not Status.OK:
        return Scored(status=outcome.status, score=0.0, error_message=outcome.error_message)
    watch = _StopWatch()
    with watch:
        try:
            with _alarm(None if scorer.needs_sandbox else time_limit):
                scored = _checked(scorer.score(outcome.output or "", example))
        except InfraError:
            if watch.raised is None:
                raise
        except BaseException as error:
            scored = Scored(status=Status.SCORER_ERROR, score=0.0, error_message=_last_lines(error))
    if watch.raised is not None:  # also where the scorer caught it, or raised something else instead
        raise watch.raised
    return scored


def _checked(score: Score) -> Scored:
    """The score as it is committed; raises ScorerError unless it is one, and finite."""
    if not isinstance(score, Score):
        raise ScorerError(f"The scorer answered a {type(score).__name__} instead of a Score.")
    if not math.isfinite(score.value):
        raise ScorerError(f"The scorer answered {score.value}, which is not a finite number.")
    return Scored(status=Status.OK, score=float(score.value), feedback=_clean(score.feedback))


class _StopWatch:
    """Remembers what the worker's own signal handlers raise while a scorer runs.

    A SystemExit looks the same whether a scorer called ``sys.exit`` or Celery's SIGTERM handler raised it. Wrapping
    the handlers for the time of the call is the one place where the two can be told apart.
    """

    def __init__(self) -> None:
        self.raised: BaseException | None = None
        self._previous: dict[signal.Signals, Handler] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # handlers run in the main thread: what is raised here is the scorer's
        for number in _STOP_SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler):
                self._previous[number] = handler
                signal.signal(number, self._wrap(handler))

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _wrap(self, handler: Handler) -> Handler:
        def watched(number: int, frame: FrameType | None) -> None:
            try:
                handler(number, frame)
            except BaseException as error:
                self.raised = error
                raise

        return watched


@contextmanager
def _alarm(seconds: float | None) -> Iterator[None]:
    """Raise ScorerTimeout in the block after ``seconds``, and again each second until the block ends.

    Leaves the handler and the timer it found as they were, less the time that has passed.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    armed = True

    def expire(number: int, frame: FrameType | None) -> None:
        if armed:
            raise ScorerTimeout(f"The scorer took longer than {seconds:g} s.")

    started = time.monotonic()
    handler = signal.signal(signal.SIGALRM, expire)
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        try:
            yield
        finally:
            armed = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if handler is None else handler)
        if remaining:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, remaining - (time.monotonic() - started)), interval)


def _last_lines(error: BaseException) -> str:
    """The end of the traceback; for our own ScorerError and ScorerTimeout the sentence alone."""
    if isinstance(error, ScorerError | ScorerTimeout):
        return _clean(str(error)) or type(error).__name__
    lines = "".join(traceback.format_exception(error, limit=-3)).strip().splitlines()
    return _clean("\n".join(lines[-_TRACEBACK_LINES:])) or type(error).__name__


def _clean(text: str | None) -> str | None:
    """Text that can be written as UTF-8, and is short enough to keep."""
    if text is None:
        return None
    cut = text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT // 2]} ... {text[-_MAX_TEXT // 2 :]}"
    return cut.encode("utf-8", "replace").decode()
