"""The failure classifier: from what a sandbox saw to one status. Pure; its table of cases is its test.

Whether our machinery failed is decided by two things that no program can bring about: the runner never said ``ready``,
which it does before it reads a byte of the scaffold's; or the engine was asked, by somebody else than us, to kill or
stop the container. Apart from those, whatever happened is the program's doing. (An engine that does not answer is no
observation; sandboxes raise InfraError for it themselves.)

What could be read in more than one way is decided so:

- Too much output and the outer deadline come first: the run was ended from outside, whatever it had said before.
- A whole ``ok`` answer with exit code 0 stands, even if some child process was killed for its memory: the program
  went on, and this is what it had to say. (A scaffold may try out code that takes too much memory, and notice.)
- An ``ok`` answer with another exit code does not stand: the runner ends at once after it answers, with code 0.
- Otherwise a kill for memory explains more than the error that it caused, and is named.
- Answers cut short, doubled or made up are the program's: it got at the channel.
"""

import signal

from shared.models import Limits, Status
from shared.models.base import Frozen
from worker.sandbox.protocol import GRACE, READY, Frame, parse_answer


class Observation(Frozen):
    """All that a sandbox knows of a run that is over."""

    answer: bytes = b""
    """What came over the answer channel, cut at its cap."""
    exit_code: int | None = None
    """Of the runner, as a shell has it: 128 + n where signal n ended it. None: it was not to be had."""
    oom_killed: bool = False
    """Some process of the run was killed for its memory."""
    deadline_passed: bool = False
    """The outer deadline (or the one for the start) passed, and the run was ended from outside."""
    killed_from_outside: bool = False
    """The engine was asked to signal the container, and not by the sandbox. Exit codes do not tell: programs choose."""
    answer_flooded: bool = False
    """There was more on the answer channel than any answer takes, and the run was ended from outside."""
    text_flooded: bool = False
    """There was more printed text than the limit, and the run was ended from outside."""


class Verdict(Frozen):
    """How a run ended. ``error_message`` is None for ``ok`` alone, ``output`` is set for ``ok`` alone."""

    status: Status
    output: str | None = None
    error_message: str | None = None


def classify(seen: Observation, limits: Limits) -> Verdict:
    """The verdict on a run; ``infra_error`` only where the program never began, or others ended it."""
    if seen.killed_from_outside:
        return _failed(Status.INFRA_ERROR, "The container was killed from outside, by way of its engine.")
    if not seen.answer.startswith(READY):
        return _failed(Status.INFRA_ERROR, f"The program's runner did not start{_ending(seen)}.")
    if seen.answer_flooded:
        return _failed(Status.OUTPUT_LIMIT, f"The output is longer than {limits.output_limit} bytes.")
    if seen.text_flooded:
        return _failed(Status.OUTPUT_LIMIT, f"The program printed more than {limits.output_limit} bytes.")
    if seen.deadline_passed:
        return _failed(
            Status.TIMEOUT,
            f"It was still running {GRACE:g} s after its {limits.timeout:g} s were over, and was killed from outside.",
        )
    return _by_answer(seen, limits)


def answer_stands(answer: bytes, exit_code: int | None) -> bool:
    """Whether there is a whole ``ok`` answer and the runner ended well, so that nothing else need be known."""
    frame = parse_answer(answer)
    return isinstance(frame, Frame) and frame.kind is Status.OK and exit_code == 0


def _by_answer(seen: Observation, limits: Limits) -> Verdict:
    answer = parse_answer(seen.answer)
    if isinstance(answer, Frame) and answer_stands(seen.answer, seen.exit_code):
        if len(answer.text.encode()) > limits.output_limit:
            return _failed(Status.OUTPUT_LIMIT, f"The output is longer than {limits.output_limit} bytes.")
        return Verdict(status=Status.OK, output=answer.text)
    if seen.oom_killed:
        told = f"\n{answer.text}" if isinstance(answer, Frame) and answer.kind is not Status.OK else ""
        return _failed(Status.OOM, f"The program took more than {limits.memory} bytes of memory.{told}")
    if isinstance(answer, Frame) and answer.kind is not Status.OK:
        return _failed(answer.kind, answer.text)
    if isinstance(answer, Frame):
        return _failed(Status.SCAFFOLD_ERROR, f"The program answered, but then it did not end well{_ending(seen)}.")
    if answer is not None:
        return _failed(Status.SCAFFOLD_ERROR, f"The program's answer {answer.reason}{_ending(seen)}.")
    return _failed(Status.SCAFFOLD_ERROR, f"The program ended without an answer{_ending(seen)}.")


def _failed(status: Status, message: str) -> Verdict:
    return Verdict(status=status, error_message=message or status.value)


def _ending(seen: Observation) -> str:
    """How the process ended, as the end of a sentence."""
    if seen.deadline_passed:
        return " in time"
    if seen.exit_code is None:
        return ""
    if 128 < seen.exit_code < 128 + signal.NSIG:
        try:
            return f": {signal.Signals(seen.exit_code - 128).name} ended it"
        except ValueError:
            return f": signal {seen.exit_code - 128} ended it"
    return f": it ended with exit code {seen.exit_code}"
