"""What a sandbox says to the runner inside it, and what it makes of the answer.

The format is described in ``shared/runtime/runner.py``. Answers are hostile: any program can write any bytes there.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from shared.models import Limits, RunRequest, Status
from shared.models.base import Frozen
from shared.runtime import runner

VERSION = "1"
"""Changes with the format, so that an image with another runner is noticed."""

READY = b"ready\n"
"""Sent before anything of the scaffold's is read, hence by no scaffold: without it the machinery failed."""

RUNNER = Path(runner.__file__).resolve()
COMMAND = ("-I", "-B", "-X", "utf8")
"""The interpreter's options: isolated from environment and directory, no byte code written, UTF-8 throughout."""

GRACE = 5.0
"""Seconds the runner has to keep the inner deadline before the outer one ends the run."""
START_TIMEOUT = 60.0
"""Most seconds until the runner must be ready; the machine may be busy, and that is no program's fault."""
_LEAST_START_TIMEOUT = 24.0
_START_GRACE = 20.0


def start_timeout(timeout: float) -> float:
    """Seconds until the runner of a run with that timeout must be ready.

    A run whose engine hangs is over, with the look at the engine after it, within its timeout and 30 s, as is one that
    takes all its time and whose killing hangs.
    """
    return min(START_TIMEOUT, max(_LEAST_START_TIMEOUT, timeout + _START_GRACE))


KINDS: Mapping[str, Status] = MappingProxyType(
    {
        status.value: status
        for status in (
            Status.OK,
            Status.SCAFFOLD_ERROR,
            Status.TIMEOUT,
            Status.OOM,
            Status.OUTPUT_LIMIT,
            Status.INVALID_OUTPUT,
        )
    }
)


class Frame(Frozen):
    """A whole answer."""

    kind: Status
    text: str


class Malformed(Frozen):
    """Bytes that are not one whole answer; ``reason`` ends a sentence."""

    reason: str


def encode_request(request: RunRequest, limits: Limits) -> bytes:
    """The bytes to write to the runner's stdin."""
    body = request.input_string.encode("utf-8", "surrogatepass")
    return f"{limits.timeout!r} {limits.output_limit} {len(body)}\n".encode() + body


def answer_cap(limits: Limits) -> int:
    """The most bytes that any answer of the runner's takes; a longer one is a flood."""
    return len(READY) + 64 + max(limits.output_limit, runner.ERROR_LIMIT)


def parse_answer(answer: bytes) -> Frame | Malformed | None:
    """What stands in the answer after ``ready``; None where there is nothing."""
    rest = answer.removeprefix(READY)
    if not rest:
        return None
    header, newline, payload = rest.partition(b"\n")
    words = header.decode("ascii", "replace").split(" ")
    if not newline or len(words) != 2 or words[0] not in KINDS or not _is_length(words[1]):
        return Malformed(reason="does not begin as an answer does")
    if len(payload) != int(words[1]):
        return Malformed(reason=f"announces {words[1]} bytes and has {len(payload)}")
    return Frame(kind=KINDS[words[0]], text=payload.decode("utf-8", "replace"))


def _is_length(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 16
