"""The gateway of one run: its container's only way to a model."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import Field

from shared.budget import Budget
from shared.model_names import ModelRef
from shared.models.base import Frozen
from shared.models.result import Usage
from worker.gateway import wire
from worker.gateway.base import ChatRequest, Provider, ProviderError, ProviderOutage
from worker.gateway.budgeted import BudgetedProvider, ExperimentBudgetExceeded
from worker.gateway.caller import Caller
from worker.gateway.http import Reply, UnixHttpServer
from worker.gateway.ledger import ABANDONED, BudgetExceeded, CallRecord, Ledger, OpenCall
from worker.gateway.providers import build_provider
from worker.gateway.socket_dir import SOCKET_NAME, socket_directory
from worker.gateway.wire import WireError

__all__ = ["ABANDONED", "CallRecord", "Gateway", "GatewayConfig", "open_gateway"]

_logger = logging.getLogger(__name__)
_parsing = threading.Lock()
"""One body at a time: parsed JSON can take many times its size, in memory that is the worker's."""


class GatewayConfig(Frozen):
    """What one run may ask of which model."""

    model: ModelRef
    seed: int = 0
    temperature: float | None = Field(default=None, ge=0, le=2)
    """For calls that set none."""
    max_tokens: int | None = Field(default=None, ge=1)
    """For calls that set none, and the most that others may set."""
    max_calls: int | None = Field(default=None, ge=0)
    timeout: float | None = Field(default=None, gt=0)
    """Seconds the program has; nothing is asked of the provider beyond that."""
    backoff: float = Field(default=0.5, ge=0)
    """Seconds that waits between retries start from, where the provider names none."""


class Gateway:
    """Serves ``POST /v1/chat/completions`` and ``GET /v1/models`` on ``directory/gateway.sock`` until closed.

    ``provider_failed`` says why the provider was out of order, where it was: then whatever the program did with the
    errors it saw says nothing about the program. So with ``experiment_budget_exceeded``: why the experiment's
    budget did not allow a call.
    """

    def __init__(
        self,
        config: GatewayConfig,
        provider: Provider,
        socket_dir: Path | None = None,
        on_call: Callable[[CallRecord], None] | None = None,
    ) -> None:
        self._config = config
        self._ledger = Ledger(config.model.alias, config.model.price, config.max_calls, on_call)
        self._caller = Caller(
            provider,
            temperature=config.temperature,
            max_tokens=config.max_tokens,
            timeout=config.timeout,
            backoff=config.backoff,
        )
        self.provider_failed: str | None = None
        self.experiment_budget_exceeded: str | None = None
        with ExitStack() as stack:
            self.directory = stack.enter_context(socket_directory(socket_dir))
            server = UnixHttpServer(self.directory / SOCKET_NAME, self._answer)
            stack.callback(server.close)
            self._stack = stack.pop_all()

    @property
    def calls(self) -> tuple[CallRecord, ...]:
        """The ledger: the calls that have ended, in that order."""
        return self._ledger.calls

    @property
    def budget_exceeded(self) -> bool:
        """Whether the program asked for more calls than it had."""
        return self._ledger.budget_exceeded

    def usage(self) -> Usage:
        """What the run asked of its model so far."""
        return self._ledger.usage()

    def close(self) -> None:
        """Stop serving and remove the socket; calls under way are abandoned. May be called twice."""
        self._caller.close()
        self._ledger.close()
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, method: str, path: str, body: bytes) -> Reply:
        match method, path.partition("?")[0].rstrip("/"):
            case "POST", "/v1/chat/completions" | "/chat/completions":
                with _parsing:
                    request = wire.parse_request(body)
                return self._complete(request)
            case "GET", "/v1/models" | "/models":
                return 200, wire.models_json(self._config.model.alias)
        raise WireError("This gateway serves POST /v1/chat/completions and GET /v1/models.", 404)

    def _complete(self, request: wire.WireRequest) -> Reply:
        alias = self._config.model.alias
        if request.model not in ("", alias):
            raise WireError(f"This run may call {alias!r} alone; leave 'model' out.", 404, "model_not_found")
        try:
            with self._ledger.call(request.messages) as call:
                return self._ask(request, call)
        except BudgetExceeded:
            raise WireError("The run has used up its budget of model calls.", 429, "budget_exceeded") from None

    def _ask(self, request: wire.WireRequest, call: OpenCall) -> Reply:
        try:
            if self.experiment_budget_exceeded:
                raise ExperimentBudgetExceeded(self.experiment_budget_exceeded)
            if self.provider_failed:
                raise ProviderOutage(self.provider_failed)
            completion = self._caller.call(self._chat_request(request, call))
        except ExperimentBudgetExceeded as error:
            self.experiment_budget_exceeded = str(error)
            call.status, call.error = error.status, str(error)
            raise WireError("The experiment has used up its budget.", error.status, "budget_exceeded") from None
        except ProviderOutage as error:
            self.provider_failed = self.provider_failed or str(error)
            call.status, call.error = error.status, str(error)
            _logger.warning("the provider of %s is out of order: %s", self._config.model.alias, error)
            raise WireError("The model cannot be reached.", error.status, "server_error") from None
        except ProviderError as error:
            call.status, call.error = error.status, str(error)
            raise WireError(str(error), error.status, "invalid_request_error") from None
        call.status, call.completion = 200, completion
        return 200, wire.completion_json(completion, self._config.model.alias, call.number, int(time.time()))

    def _chat_request(self, request: wire.WireRequest, call: OpenCall) -> ChatRequest:
        limits = [limit for limit in (request.max_tokens, self._config.max_tokens) if limit is not None]
        return ChatRequest(
            messages=request.messages,
            temperature=self._config.temperature if request.temperature is None else request.temperature,
            max_tokens=min(limits, default=None),
            seed=self._config.seed,
            call=call.repeat,
        )


def open_gateway(
    config: GatewayConfig,
    socket_dir: Path | None = None,
    *,
    on_call: Callable[[CallRecord], None] | None = None,
    provider: Provider | None = None,
    budget: Budget | None = None,
) -> Gateway:
    """A gateway for one run, to be used in a ``with`` statement.

    ``socket_dir`` must be short (a Unix socket's address has 107 bytes); None: the system's temporary folder.
    ``on_call`` is called with each finished call, one at a time, until the gateway is closed. ``budget``: the
    experiment's, where the run is to keep within it.
    Raises ModelConfigError and ModelUnavailable where the model cannot be used at all.
    """
    provider = provider or build_provider(config.model)
    provider.prepare()
    if budget is not None and budget.counts_calls:
        provider = BudgetedProvider(provider, budget, config.model)
    return Gateway(config, provider, socket_dir, on_call)
