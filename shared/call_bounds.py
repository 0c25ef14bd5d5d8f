"""The most that one model call may use, known before it is made. Pure."""

from collections.abc import Iterable

from shared.model_names import ModelRef
from shared.models.spec import Price

LONGEST_ANSWER = {"local": 256, "anthropic": 1024, "openai": 4096}
"""Tokens of an answer by provider, where nobody sets ``max_tokens``.

The first two are limits that their providers are then given. An ``openai/`` model is given none: its number is an
estimate, and a model that answers at greater length is counted in full once it has answered.
"""
_TEMPLATE, _MESSAGE = 64, 16
"""Tokens that a chat template may add, once and for each message."""


def prompt_bound(contents: Iterable[str]) -> int:
    """Tokens that messages with these contents may count as: no tokenizer makes more than one of a byte."""
    return _TEMPLATE + sum(_MESSAGE + len(content.encode("utf-8", errors="replace")) for content in contents)


def answer_bound(model: ModelRef, max_tokens: int | None, prompt: int) -> int:
    """Tokens that the answer to ``prompt`` tokens may count as."""
    if max_tokens is not None:
        return max_tokens
    if model.script_text is not None:
        return len(model.script_text.encode("utf-8", errors="replace"))
    # What is simulated answers with its prompt, or less.
    return LONGEST_ANSWER.get(model.provider, prompt)


def cost(price: Price | None, input_tokens: int, output_tokens: int) -> float | None:
    """US dollars; None where the price is not known."""
    return None if price is None else (input_tokens * price.input + output_tokens * price.output) / 1e6
