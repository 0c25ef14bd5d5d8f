"""What the coordinator asks of the scaffolder's model, and the answer: lines between two processes."""

from pydantic import Field

from shared.models.base import Frozen
from shared.models.result import Usage


class AskRequest(Frozen):
    """One question to a model."""

    prompt: str
    system: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int = 0
    call: int = Field(default=0, ge=0)
    """Which of the experiment's questions it is. Models whose answers can be repeated (``sim/``, ``local/``) answer the
    same words differently with another number; ``sim/script`` answers with the text of that number."""


class Answer(Frozen):
    """What a model said; or, where ``text`` is None, why it would not: a sentence in ``problem``."""

    text: str | None
    problem: str | None = None
    finish_reason: str = "stop"
    usage: Usage = Usage()


class AskLine(Frozen):
    """A line to the process that asks."""

    id: int
    request: AskRequest


class AnswerLine(Frozen):
    """A line from it: either an answer, or ``error``, which is our trouble or the spec's and never the model's.

    Answers may come in another order than the questions.
    """

    id: int
    answer: Answer | None = None
    error: str | None = None
    kind: str = ""
    """The error's class: one of ``shared.errors``."""
