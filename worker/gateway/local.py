"""Small models on this host's processors: llama.cpp behind the same interface as every OpenAI-compatible server."""

import threading
from typing import Any

from shared.errors import ModelUnavailable
from shared.model_names import ModelRef
from shared.settings import get_settings
from worker.gateway.base import ChatRequest, Completion, Provider, ProviderError, TransientProviderError
from worker.gateway.local_host import LocalHost, ServerState
from worker.gateway.openai import OpenAIProvider
from worker.gateway.weights import missing, weights_path

MAX_TOKENS = 256
"""Where nobody sets a limit: a small model may ramble on until its context is full."""


class LocalProvider(Provider):
    """One local model. The same request gets the same answer, unless a temperature is set: then it follows the seed."""

    def __init__(self, name: str, host: LocalHost) -> None:
        self._name = name
        self._host = host
        self._lock = threading.Lock()
        self._state: ServerState | None = None
        self._client: _LlamaClient | None = None

    def prepare(self) -> None:
        """Start the host's server unless it runs."""
        self._connect()

    def complete(self, request: ChatRequest) -> Completion:
        """One call; a server that has died is started again on the next try."""
        try:
            client = self._connect()
        except ModelUnavailable as error:
            raise TransientProviderError(str(error)) from None
        return client.complete(request)

    def probe(self, request: ChatRequest) -> None:
        """Whether the server lives. That it is busy proves nothing: the program may be what keeps it so."""
        if not self._host.alive():
            raise TransientProviderError(f"The server of {self._name} has ended.")

    def close(self) -> None:
        """Give up the claim on the host's server."""
        with self._lock:
            self._drop_client()
        self._host.release()

    def _connect(self) -> "_LlamaClient":
        with self._lock:
            if self._client is not None and self._host.alive():
                return self._client
            state = self._host.server()
            if self._client is None or state != self._state:
                self._drop_client()
                self._state, self._client = state, _LlamaClient(self._name, state)
            return self._client

    def _drop_client(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


class _LlamaClient(OpenAIProvider):
    """llama.cpp's server: it has a seed, and a cache of prompts that must not change answers."""

    def __init__(self, name: str, state: ServerState) -> None:
        super().__init__(name, "local", f"{state.url}/v1", state.key)

    def complete(self, request: ChatRequest) -> Completion:
        try:
            return super().complete(request)
        except TransientProviderError as error:
            if error.status == 500:
                # It answers so to what it cannot work with, and would do so again.
                raise ProviderError(str(error), 500) from None
            raise

    def parameters(self, request: ChatRequest) -> dict[str, Any]:
        parameters = super().parameters(request)
        parameters["temperature"] = request.temperature or 0.0
        parameters["max_tokens"] = request.max_tokens or MAX_TOKENS
        parameters["seed"] = (request.seed * 1_000_003 + request.call) % 2**31
        parameters["extra_body"] = {"cache_prompt": False}
        return parameters


def build(ref: ModelRef) -> Provider:
    """The provider of a ``local/...`` model; raises ModelUnavailable with the command that helps."""
    settings = get_settings()
    reason = missing(ref.model, settings.cache_dir)
    if reason:
        raise ModelUnavailable(f"The model local/{ref.model} cannot run here: {reason}")
    host = LocalHost(weights_path(ref.model, settings.cache_dir), settings.cache_dir, settings.local_threads)
    return LocalProvider(ref.alias, host)
