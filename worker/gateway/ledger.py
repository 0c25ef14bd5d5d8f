"""What a run asked of its model, call by call."""

import hashlib
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pydantic import Field

from shared.models.base import Frozen
from shared.models.result import Usage
from shared.models.spec import Price
from worker.gateway.base import Completion, Message

_logger = logging.getLogger(__name__)

MOST_CALLS = 10_000
"""No run makes more calls than this, whatever its budget."""
ABANDONED = 499
"""Status of a call that the end of the run cut off."""


class CallRecord(Frozen):
    """One model call. ``messages`` is a digest: what was said stays out of the ledger."""

    number: int
    """Counts from 1 within the run."""
    model: str
    messages: str
    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    seconds: float = Field(ge=0)
    status: int
    """HTTP status the program was answered with."""
    error: str | None = None


class BudgetExceeded(Exception):
    """The run may make no more calls."""


class OpenCall:
    """A call under way; how it ends is noted here."""

    def __init__(self, number: int, digest: str, repeat: int) -> None:
        self.number = number
        self.digest = digest
        self.repeat = repeat
        self.started = time.monotonic()
        self.completion = Completion(text="")
        self.status = 500
        self.error: str | None = None


class Ledger:
    """Counts a run's calls against its budget and records each. Thread-safe."""

    def __init__(
        self, model: str, price: Price | None, max_calls: int | None, on_call: Callable[[CallRecord], None] | None
    ) -> None:
        self._model = model
        self._price = price
        self._max_calls = MOST_CALLS if max_calls is None else min(max_calls, MOST_CALLS)
        self._on_call = on_call
        self._lock = threading.Lock()
        self._records: list[CallRecord] = []
        self._repeats: Counter[str] = Counter()
        self._open: dict[int, OpenCall] = {}
        self._waited = 0.0
        self._waiting_since = 0.0
        self._started = 0
        self._closed = False
        self.budget_exceeded = False

    @property
    def calls(self) -> tuple[CallRecord, ...]:
        """The finished calls, in the order in which they ended."""
        with self._lock:
            return tuple(self._records)

    @contextmanager
    def call(self, messages: Sequence[Message]) -> Iterator[OpenCall]:
        """Count a call in, and record it at the end of the block; raises BudgetExceeded where it is one too many."""
        opened = self._begin(_digest(messages))
        try:
            yield opened
        finally:
            with self._lock:
                if not self._closed:
                    self._finish(opened)

    def _begin(self, digest: str) -> OpenCall:
        with self._lock:
            if self._started >= self._max_calls:
                self.budget_exceeded = True
                raise BudgetExceeded
            self._started += 1
            opened = OpenCall(self._started, digest, self._repeats[digest])
            self._repeats[digest] += 1
            if not self._open:
                self._waiting_since = opened.started
            self._open[opened.number] = opened
            return opened

    def _finish(self, call: OpenCall) -> None:
        now = time.monotonic()
        del self._open[call.number]
        if not self._open:
            self._waited += now - self._waiting_since
        record = CallRecord(
            number=call.number,
            model=self._model,
            messages=call.digest,
            input_tokens=call.completion.input_tokens,
            output_tokens=call.completion.output_tokens,
            seconds=now - call.started,
            status=call.status,
            error=call.error,
        )
        self._records.append(record)
        if self._on_call is None:
            return
        try:
            self._on_call(record)
        except Exception:
            # A log that cannot be written must not change what the program is answered.
            _logger.exception("the listener of model calls failed")

    def close(self) -> None:
        """Record the calls still under way as abandoned; nothing is recorded, and nobody told, after that."""
        with self._lock:
            for call in list(self._open.values()):
                call.status = ABANDONED
                self._finish(call)
            self._closed = True

    def usage(self) -> Usage:
        """The sums. ``wait_seconds`` is time during which at least one call was under way."""
        with self._lock:
            tokens_in = sum(record.input_tokens for record in self._records)
            tokens_out = sum(record.output_tokens for record in self._records)
            price = self._price
            return Usage(
                calls=self._started,
                input_tokens=tokens_in,
                output_tokens=tokens_out,
                wait_seconds=self._waited + (time.monotonic() - self._waiting_since if self._open else 0.0),
                usd=None if price is None else (tokens_in * price.input + tokens_out * price.output) / 1e6,
            )


def _digest(messages: Sequence[Message]) -> str:
    text = json.dumps([(message.role, message.content) for message in messages])
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
