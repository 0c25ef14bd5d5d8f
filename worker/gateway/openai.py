"""Models behind an OpenAI-compatible address, through the openai SDK."""

from typing import Any

from openai import OpenAI, OpenAIError
from openai.types.chat import ChatCompletion
from pydantic import SecretStr

from shared.model_names import ModelRef
from worker.gateway.base import ChatRequest, Completion, Provider, TransientProviderError
from worker.gateway.keys import base_url, find_key
from worker.gateway.sdk_errors import provider_error

_NO_KEY = "none"
_TIMEOUT = 600.0


class OpenAIProvider(Provider):
    """One model of an OpenAI-compatible server. Retries are the gateway's, not the SDK's."""

    def __init__(self, name: str, model: str, url: str | None, key: SecretStr | None) -> None:
        self._name = name
        self._model = model
        self._key = key
        # Servers other than OpenAI's own know the older name of the limit.
        self._limit = "max_completion_tokens" if url is None else "max_tokens"
        self._client = OpenAI(
            api_key=key.get_secret_value() if key else _NO_KEY, base_url=url, max_retries=0, timeout=_TIMEOUT
        )

    def complete(self, request: ChatRequest) -> Completion:
        """One ``chat.completions`` call."""
        try:
            response: Any = self._client.chat.completions.create(**self.parameters(request))
        except (OpenAIError, ValueError) as error:
            # ValueError: a body that is not the JSON it says it is.
            raise provider_error(error, self._name, self._key) from None
        if not isinstance(response, ChatCompletion) or not response.choices:
            raise TransientProviderError(f"{self._name} answered without a completion.", 502)
        choice = response.choices[0]
        return Completion(
            text=choice.message.content or "",
            # The SDK does not check what a server leaves out.
            input_tokens=getattr(response.usage, "prompt_tokens", None) or 0,
            output_tokens=getattr(response.usage, "completion_tokens", None) or 0,
            finish_reason=str(getattr(choice, "finish_reason", None) or "stop"),
        )

    def parameters(self, request: ChatRequest) -> dict[str, Any]:
        """``request`` in the SDK's words."""
        parameters: dict[str, Any] = {
            "model": self._model,
            "messages": [message.model_dump() for message in request.messages],
            "timeout": request.timeout or _TIMEOUT,
        }
        if request.temperature is not None:
            parameters["temperature"] = request.temperature
        if request.max_tokens is not None:
            parameters[self._limit] = request.max_tokens
        return parameters

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def build(ref: ModelRef) -> Provider:
    """The provider of an ``openai/NAME`` model."""
    return OpenAIProvider(ref.alias, ref.model, base_url(ref), find_key(ref))
