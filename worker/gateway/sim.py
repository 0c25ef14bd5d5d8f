"""Simulated models: free, without a network, and the same every time."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

from shared.model_names import DEFAULT_ERROR_RATE, ModelRef
from shared.model_script import Rule, parse_script, read_script
from worker.gateway import arithmetic
from worker.gateway.base import ChatRequest, Completion, Provider, ProviderError

_TOKEN = re.compile(r"\w+|[^\w\s]")
NO_ARITHMETIC = "I see no arithmetic here."


def count_tokens(text: str) -> int:
    """Words and punctuation marks: a stand-in for a tokenizer."""
    return sum(1 for _ in _TOKEN.finditer(text))


class SimProvider(Provider):
    """A function from a request to a text, dressed as a model."""

    def __init__(self, answer: Callable[[ChatRequest], str]) -> None:
        self._answer = answer

    def complete(self, request: ChatRequest) -> Completion:
        """The answer, cut at ``max_tokens``."""
        full = self._answer(request)
        text = _cut(full, request.max_tokens)
        return Completion(
            text=text,
            input_tokens=sum(count_tokens(message.content) for message in request.messages),
            output_tokens=count_tokens(text),
            finish_reason="stop" if text == full else "length",
        )

    def probe(self, request: ChatRequest) -> None:
        """Nothing can be out of order."""


def _cut(text: str, max_tokens: int | None) -> str:
    if max_tokens is None:
        return text
    ends = [match.end() for match in _TOKEN.finditer(text)]
    return text if len(ends) <= max_tokens else text[: ends[max_tokens - 1]]


def echo(request: ChatRequest) -> str:
    """The last message, word for word."""
    return request.messages[-1].content


MOCK = "42"


def mock(request: ChatRequest) -> str:
    """The same short text, whatever is asked: the model that scaffolds are tried out with.

    A trial is to find programs that do not start, crash or hang, at no cost; what they answer is not looked at. Most
    programs take something out of the model's answer, so it is one that reads as a text, as a number and as JSON.
    """
    return MOCK


class Arithmetic:
    """Answers the arithmetic in the last message, wrongly in a share of calls.

    Whether and how an answer is wrong follows from the messages, the experiment's seed and the number of the call
    alone, so that a run can be repeated, and that asking several times and taking a vote helps.
    """

    def __init__(self, error_rate: float) -> None:
        self._error_rate = error_rate

    def __call__(self, request: ChatRequest) -> str:
        value = arithmetic.solve(request.messages[-1].content)
        if value is None:
            return NO_ARITHMETIC
        digest = _digest(request)
        luck = int.from_bytes(digest[:8], "big") / 2**64
        if luck < self._error_rate:
            value = arithmetic.near_miss(value, int.from_bytes(digest[8:16], "big"))
        return arithmetic.written(value)


def _digest(request: ChatRequest) -> bytes:
    messages = [(message.role, message.content) for message in request.messages]
    return hashlib.sha256(json.dumps([messages, request.seed, request.call]).encode()).digest()


_LAST = 16_384
"""Characters of a message that rules are matched with, its last."""


class Script:
    """Answers by rules.

    The first rule whose ``match`` is found in the last message answers. Of several texts the first answers the first
    call with some messages, the second the second with the same ones, and so on, from the start again after the last.
    """

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules

    def __call__(self, request: ChatRequest) -> str:
        text = request.messages[-1].content[-_LAST:]
        for rule in self._rules:
            if rule.match.search(text):
                return rule.answer[request.call % len(rule.answer)]
        raise ProviderError("The scripted model has no answer to this message.", 404)


def build(ref: ModelRef) -> Provider:
    """The simulated model that ``ref`` names."""
    if ref.model == "arithmetic":
        return SimProvider(Arithmetic(DEFAULT_ERROR_RATE if ref.error_rate is None else ref.error_rate))
    if ref.model == "script":
        name = ref.script or ""
        text = read_script(Path(name)) if ref.script_text is None else ref.script_text
        return SimProvider(Script(parse_script(text, name)))
    return SimProvider(mock if ref.model == "mock" else echo)
