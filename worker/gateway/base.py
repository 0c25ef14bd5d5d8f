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
    timeout: float | None = None
    """Seconds the provider may take over this one try."""


class Provider(ABC):
    """One model that can be asked. Thread-safe: several calls of a run may be under way at once."""

    def prepare(self) -> None:
        """Make ready whatever takes time, before a run's clock starts. Raises ModelUnavailable where that fails."""
        return None

    @abstractmethod
    def complete(self, request: ChatRequest) -> Completion:
        """Ask the model once.

        Raises TransientProviderError (429, 5xx, connection lost; may carry ``retry_after`` seconds) for what is worth
        trying again, ProviderTimeout where ``request.timeout`` passed, and ProviderError for what else was refused.
        """

    def probe(self, request: ChatRequest) -> None:
        """Raise ProviderError unless a plain request of our own is answered."""
        self.complete(request)

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


class ProviderTimeout(ProviderError):
    """The model did not answer within the time the call was given."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 504)


class ProviderOutage(ProviderError):
    """The provider fails whatever it is asked: our trouble, never the program's."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 503)
