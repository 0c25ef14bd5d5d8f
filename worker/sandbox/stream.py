"""What comes out of a run, held within bounds."""

import codecs
import time

from shared.models import Limits
from worker.sandbox.base import OnOutput
from worker.sandbox.protocol import READY, answer_cap

ANSWER = 1
TEXT = 2
"""Stream numbers, as the engine's multiplexed stream has them: stdout carries the answer, stderr what is printed."""

_HEADER = 8


class Demultiplexer:
    """Takes apart the engine's multiplexed stream, in whatever pieces it comes.

    Each part has a header of 8 bytes (stream number, three zeros, length as 4 bytes big-endian), then its bytes. A
    part is handed on as it comes: its length decides where the next header is, never how much memory is taken.
    """

    def __init__(self) -> None:
        self._header = bytearray()
        self._stream = 0
        self._left = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """(stream number, bytes) for each part, or piece of one, in ``data``."""
        parts = []
        view = memoryview(data)
        while view:
            if self._left:
                parts.append((self._stream, bytes(view[: self._left])))
                taken = len(parts[-1][1])
                self._left -= taken
            else:
                taken = min(_HEADER - len(self._header), len(view))
                self._header += view[:taken]
                if len(self._header) == _HEADER:
                    self._stream, self._left = self._header[0], int.from_bytes(self._header[4:8], "big")
                    self._header.clear()
            view = view[taken:]
        return parts


class Capture:
    """Keeps what a run says up to its limits, and the times at which it began and ended.

    ``on_output`` gets the printed text as it comes.
    """

    def __init__(self, limits: Limits, on_output: OnOutput | None = None) -> None:
        self._answer = bytearray()
        self._answer_cap = answer_cap(limits)
        self._text: list[str] = []
        self._text_left = limits.output_limit
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._on_output = on_output
        self.answer_flooded = False
        self.text_flooded = False
        self.began: float | None = None
        """When the runner was ready (``time.monotonic``); None: not yet."""
        self.ended: float | None = None

    @property
    def flooded(self) -> bool:
        """Whether one of the limits was passed."""
        return self.answer_flooded or self.text_flooded

    @property
    def answer(self) -> bytes:
        """The answer channel's bytes so far."""
        return bytes(self._answer)

    @property
    def text(self) -> str:
        """What was printed so far."""
        return "".join(self._text)

    @property
    def seconds(self) -> float:
        """How long the program ran."""
        return max(0.0, self.ended - self.began) if self.began and self.ended else 0.0

    def feed(self, stream: int, data: bytes) -> None:
        """Take bytes of a stream; those past its limit are dropped, and it is flooded."""
        if stream == ANSWER:
            self._feed_answer(data)
        elif stream == TEXT:
            self._feed_text(data)

    def _feed_answer(self, data: bytes) -> None:
        room = self._answer_cap - len(self._answer)
        self.answer_flooded = self.answer_flooded or len(data) > room
        self._answer += data[:room]
        if self.began is None and self._answer.startswith(READY):
            self.began = time.monotonic()

    def _feed_text(self, data: bytes) -> None:
        self.text_flooded = self.text_flooded or len(data) > self._text_left
        data = data[: self._text_left]
        self._text_left -= len(data)
        self._hand_on(self._decoder.decode(data))

    def finish(self) -> None:
        """Note the end, and let go of a last character that never came whole."""
        if self.ended is None:
            self.ended = time.monotonic()
            self._hand_on(self._decoder.decode(b"", final=True))

    def _hand_on(self, text: str) -> None:
        if text:
            self._text.append(text)
            if self._on_output is not None:
                self._on_output(text)
