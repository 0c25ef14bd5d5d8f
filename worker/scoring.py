"""Scoring one outcome: what a scorer does wrong becomes a status, never a crash, and never a lost shutdown."""

import math
import traceback

from pydantic import FiniteFloat, ValidationError

from shared.errors import InfraError, ScorerError
from shared.models import Example, Frozen, RunOutcome, Status
from shared.scorers import is_builtin
from shared.scorers.base import Score, Scorer
from worker.scorer_process import in_own_process

TIME_LIMIT = 60.0
_MAX_TEXT = 4_000
_TRACEBACK_LINES = 8


class Scored(Frozen):
    """A run's status and score. ``score`` is None for ``infra_error`` alone."""

    status: Status
    score: FiniteFloat | None
    feedback: str | None = None
    error_message: str | None = None


def score_outcome(scorer: Scorer, outcome: RunOutcome, example: Example, time_limit: float = TIME_LIMIT) -> Scored:
    """What a run is worth.

    Only an ``ok`` outcome is scored; any other is the program's 0.0, or None where the machinery failed. InfraError
    passes through, and so does what a signal handler of the worker raises meanwhile (Celery's SystemExit on SIGTERM,
    KeyboardInterrupt). Everything else a scorer raises is ``scorer_error``.

    A scorer that is not built in is called in a process of its own, whose death, or not being done after
    ``time_limit`` seconds, is ``scorer_error`` as well. One that runs programs is called in this process: it needs
    this process's sandbox, which has deadlines of its own.
    """
    if outcome.status is Status.INFRA_ERROR:
        return Scored(status=outcome.status, score=None, error_message=outcome.error_message)
    if outcome.status is not Status.OK:
        return Scored(status=outcome.status, score=0.0, error_message=outcome.error_message)
    output = outcome.output or ""
    if is_builtin(scorer) or scorer.needs_sandbox:
        return _scored_here(scorer, output, example)
    try:
        return _from_json(in_own_process(lambda: _as_json(scorer, output, example), time_limit))
    except ScorerError as error:
        return _failed(error)


def _scored_here(scorer: Scorer, output: str, example: Example) -> Scored:
    try:
        return _checked(scorer.score(output, example))
    except InfraError:
        raise
    except Exception as error:
        return _failed(error)


def _as_json(scorer: Scorer, output: str, example: Example) -> bytes:
    """In the scorer's process: its verdict, whatever it raises; ``infra_error`` stands for an InfraError."""
    try:
        scored = _scored_here(scorer, output, example)
    except InfraError as error:
        scored = Scored(status=Status.INFRA_ERROR, score=None, error_message=_clean(str(error)))
    except BaseException as error:  # SystemExit is the scorer's too: no handler of the worker's runs here
        scored = _failed(error)
    return scored.model_dump_json().encode()


def _from_json(answer: bytes) -> Scored:
    """The verdict that the scorer's process answers; raises InfraError, and ScorerError where it is none."""
    try:
        scored = Scored.model_validate_json(answer)
    except ValidationError as error:
        raise ScorerError(
            "The scorer's process answered no score: does the scorer write to open descriptors?"
        ) from error
    if scored.status is Status.INFRA_ERROR:
        raise InfraError(scored.error_message or "")
    return scored


def _checked(score: Score) -> Scored:
    """The score as it is committed; raises ScorerError unless it is one, and finite."""
    if not isinstance(score, Score):
        raise ScorerError(f"The scorer answered a {type(score).__name__} instead of a Score.")
    if not math.isfinite(score.value):
        raise ScorerError(f"The scorer answered {score.value}, which is not a finite number.")
    return Scored(status=Status.OK, score=float(score.value), feedback=_clean(score.feedback))


def _failed(error: BaseException) -> Scored:
    return Scored(status=Status.SCORER_ERROR, score=0.0, error_message=_last_lines(error))


def _last_lines(error: BaseException) -> str:
    """The end of the traceback; for our own ScorerError the sentence alone."""
    if isinstance(error, ScorerError):
        return _clean(str(error)) or type(error).__name__
    lines = "".join(traceback.format_exception(error, limit=-3)).strip().splitlines()
    return _clean("\n".join(lines[-_TRACEBACK_LINES:])) or type(error).__name__


def _clean(text: str | None) -> str | None:
    """Text that can be written as UTF-8, and is short enough to keep."""
    if text is None:
        return None
    cut = text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT // 2]} ... {text[-_MAX_TEXT // 2 :]}"
    return cut.encode("utf-8", "replace").decode()
