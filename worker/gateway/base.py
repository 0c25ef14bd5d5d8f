"""What stands behind the gateway: a provider of one model."""

from abc import ABC, abstractmethod
from typing import Literal

from pydantic import Field

from shared.models.base import Frozen


class Message(Frozen):
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


class Completion(Frozen):
    """A model's answer and what it took."""

    text: str
    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    finish_reason: str = "stop"


class ChatRequest(Frozen):
    """What a provider is asked. ``seed`` and ``call`` make simulated answers repeatable."""

    messages: tuple[Message, ...] = Field(min_length=1)
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int = 0
    """The experiment's seed."""
    call: int = 0
    """How many times this run has sent these very messages before."""


class Provider(ABC):
    """One model that can be asked. Thread-safe: several calls of a run may be under way at once."""

    @abstractmethod
    def complete(self, request: ChatRequest) -> Completion:
        """Ask the model once.

        Raises TransientProviderError (429, 5xx, connection lost; may carry ``retry_after`` seconds) for what is worth
        trying again, and ProviderError for what is not.
        """

    def close(self) -> None:
        """Let go of connections."""
        return None


class ProviderError(Exception):
    """The model refused the call; asking again will not help. ``status`` is the HTTP status shown to the scaffold."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class TransientProviderError(ProviderError):
    """The model could not answer now. ``retry_after``: seconds to wait, where the provider said so."""

    def __init__(self, message: str, status: int = 503, retry_after: float | None = None) -> None:
        super().__init__(message, status)
        self.retry_after = retry_after
