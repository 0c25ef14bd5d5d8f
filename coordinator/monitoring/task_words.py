"""What Flower says of a job, in words."""

import ast
from typing import Protocol, TypeVar

from coordinator.report import words
from shared.models import Receipt


class ShownTask(Protocol):
    """What is needed of Flower's tasks. ``result``: the start of what the task returned, as Python writes it."""

    result: str | None


Shown = TypeVar("Shown", bound=ShownTask)


def format_task(task: Shown) -> Shown:
    """Flower's ``format_task``: the task with its result in words; as it is where that is no receipt, or not whole."""
    receipt = _receipt(task.result) if task.result else None
    if receipt is not None:
        task.result = receipt_words(receipt)
    return task


def receipt_words(receipt: Receipt) -> str:
    """``ok, score 1.000, 0.42 s``; after a colon what went wrong with our machinery, where something did."""
    if receipt.cancelled:
        return "cancelled"
    if receipt.superseded:
        return "given up before, and not counted"
    score = "no score" if receipt.score is None else f"score {words.number(receipt.score)}"
    said = f"{receipt.status}, {score}, {words.duration(receipt.seconds)}"
    return f"{said}: {words.one_line(receipt.error_message)}" if receipt.error_message else said


def _receipt(text: str) -> Receipt | None:
    try:
        # Celery writes the ends of lines as they are, which no literal may hold.
        return Receipt.model_validate(ast.literal_eval(" ".join(text.splitlines())))
    except (ValueError, SyntaxError):
        return None
