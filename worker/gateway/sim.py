"""Simulated models: free, without a network, and the same every time."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from shared.errors import ModelConfigError
from shared.model_names import DEFAULT_ERROR_RATE, ModelRef
from shared.models.base import Frozen
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


def _as_answers(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class _Rule(Frozen):
    match: re.Pattern[str]
    answer: Annotated[tuple[str, ...], BeforeValidator(_as_answers)]


_SCRIPT: TypeAdapter[tuple[str, ...] | tuple[_Rule, ...]] = TypeAdapter(tuple[str, ...] | tuple[_Rule, ...])


class Script:
    """Answers from a YAML or JSON file: a list of texts, or a list of rules ``{match: REGEX, answer: TEXT or TEXTS}``.

    The first rule whose ``match`` is found in the last message answers. Of several texts the first answers the first
    call with some messages, the second the second with the same ones, and so on, from the start again after the last.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rules = _read_script(path)

    def __call__(self, request: ChatRequest) -> str:
        text = request.messages[-1].content
        for rule in self._rules:
            if rule.match.search(text):
                return rule.answer[request.call % len(rule.answer)]
        raise ProviderError("The scripted model has no answer to this message.", 404)


def _read_script(path: Path) -> tuple[_Rule, ...]:
    try:
        # JSON is YAML as well.
        script = _SCRIPT.validate_python(YAML(typ="safe").load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ModelConfigError(f"The script {path} of sim/script cannot be read: {error.strerror}.") from None
    except (YAMLError, UnicodeDecodeError, ValidationError, re.error):
        raise ModelConfigError(
            f"The script {path} of sim/script is neither a list of texts nor a list of rules "
            "{match: REGEX, answer: TEXT or list of TEXTS}."
        ) from None
    rules = tuple(rule for rule in script if isinstance(rule, _Rule))
    texts = tuple(text for text in script if isinstance(text, str))
    everything = _Rule(match=re.compile(""), answer=texts)
    if not script or any(not rule.answer for rule in rules):
        raise ModelConfigError(f"The script {path} of sim/script holds no answers.")
    return rules or (everything,)


def build(ref: ModelRef) -> Provider:
    """The simulated model that ``ref`` names."""
    if ref.model == "arithmetic":
        return SimProvider(Arithmetic(DEFAULT_ERROR_RATE if ref.error_rate is None else ref.error_rate))
    if ref.model == "script":
        return SimProvider(Script(Path(ref.script or "")))
    return SimProvider(echo)
