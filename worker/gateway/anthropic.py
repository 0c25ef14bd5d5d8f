"""Anthropic's models, through the anthropic SDK."""

from typing import Any

from anthropic import Anthropic, AnthropicError
from anthropic.types import Message as AnthropicMessage
from anthropic.types import TextBlock
from pydantic import SecretStr

from shared.model_names import ModelRef
from worker.gateway.base import ChatRequest, Completion, Provider, TransientProviderError
from worker.gateway.keys import base_url, find_key
from worker.gateway.sdk_errors import provider_error

_NO_KEY = "none"
_TIMEOUT = 600.0
_MAX_TOKENS = 1024
"""The interface demands a limit; this is it where nobody sets one."""
_FINISH = {"max_tokens": "length", "refusal": "content_filter"}


class AnthropicProvider(Provider):
    """One model behind the Messages interface. Retries are the gateway's, not the SDK's."""

    def __init__(self, name: str, model: str, url: str | None, key: SecretStr | None) -> None:
        self._name = name
        self._model = model
        self._key = key
        self._client = Anthropic(
            api_key=key.get_secret_value() if key else _NO_KEY, base_url=url, max_retries=0, timeout=_TIMEOUT
        )

    def complete(self, request: ChatRequest) -> Completion:
        """One ``messages`` call."""
        try:
            response: Any = self._client.messages.create(**self.parameters(request))
        except (AnthropicError, ValueError) as error:
            # ValueError: a body that is not the JSON it says it is.
            raise provider_error(error, self._name, self._key) from None
        if not isinstance(response, AnthropicMessage) or response.content is None:
            raise TransientProviderError(f"{self._name} answered without a message.", 502)
        return Completion(
            text="".join(block.text for block in response.content if isinstance(block, TextBlock)),
            # The SDK does not check what a server leaves out.
            input_tokens=getattr(response.usage, "input_tokens", None) or 0,
            output_tokens=getattr(response.usage, "output_tokens", None) or 0,
            finish_reason=_FINISH.get(response.stop_reason or "", "stop"),
        )

    def parameters(self, request: ChatRequest) -> dict[str, Any]:
        """``request`` in the SDK's words: system messages go apart from the conversation."""
        system = "\n\n".join(message.content for message in request.messages if message.role == "system")
        parameters: dict[str, Any] = {
            "model": self._model,
            "messages": [message.model_dump() for message in request.messages if message.role != "system"],
            "max_tokens": request.max_tokens or _MAX_TOKENS,
            "timeout": request.timeout or _TIMEOUT,
        }
        if system:
            parameters["system"] = system
        if request.temperature is not None:
            # The SDK no longer names it, as newer models refuse it; older ones take 0 to 1.
            parameters["extra_body"] = {"temperature": min(request.temperature, 1.0)}
        return parameters

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def build(ref: ModelRef) -> Provider:
    """The provider of an ``anthropic/NAME`` model."""
    return AnthropicProvider(ref.alias, ref.model, base_url(ref), find_key(ref))
