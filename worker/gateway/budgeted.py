"""A provider whose every call is first taken from the experiment's budget."""

import logging
from collections.abc import Callable
from typing import TypeVar

from shared.budget import Budget, Reservation
from shared.call_bounds import answer_bound, cost, prompt_bound
from shared.errors import CallTooLarge, ModelConfigError, OutOfBudget, ScaffoldryError
from shared.model_names import ModelRef
from shared.models.result import Usage
from worker.gateway.base import (
    ChatRequest,
    Completion,
    Provider,
    ProviderError,
    ProviderOutage,
    ProviderTimeout,
)

Answer = TypeVar("Answer")
_logger = logging.getLogger(__name__)


class CallRefused(ProviderError):
    """The call did not get as far as the provider, so that asking again or asking for something else tells nothing."""


class ExperimentBudgetExceeded(CallRefused):
    """The experiment's budget has no room for the call."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 429)


class BudgetedProvider(Provider):
    """Asks ``provider`` within ``budget``, try by try: each reaches the provider only once it is counted.

    Calls raise ExperimentBudgetExceeded where the budget has no room for them, CallRefused where not even the whole
    budget would have, and ProviderOutage where the count cannot be kept.
    """

    def __init__(self, provider: Provider, budget: Budget, model: ModelRef) -> None:
        if budget.spec.usd is not None and model.price is None:
            raise ModelConfigError(f"budget.usd is set, but the price of {model.alias!r} is not known; give it one.")
        self._provider = provider
        self._budget = budget
        self._model = model

    def prepare(self) -> None:
        """Make ready whatever takes time; that costs nothing."""
        self._provider.prepare()

    def complete(self, request: ChatRequest) -> Completion:
        """Ask the model once, and count what it took."""
        reservation = self._reserve(request)
        completion = self._ask(reservation, lambda: self._provider.complete(request))
        # Some servers do not say what a call took: then the bound stays counted.
        if completion.input_tokens or completion.output_tokens:
            self._settle(reservation, completion.input_tokens, completion.output_tokens)
        return completion

    def probe(self, request: ChatRequest) -> None:
        """Ask something plain; that is a call like others. What it took is not told, so its (small) bound counts."""
        reservation = self._reserve(request)
        self._ask(reservation, lambda: self._provider.probe(request))

    def close(self) -> None:
        """Let go of connections."""
        self._provider.close()

    def _reserve(self, request: ChatRequest) -> Reservation:
        prompt = prompt_bound(message.content for message in request.messages)
        answer = answer_bound(self._model, request.max_tokens, prompt)
        try:
            return self._budget.reserve(prompt + answer, cost(self._model.price, prompt, answer))
        except OutOfBudget as error:
            raise ExperimentBudgetExceeded(str(error)) from None
        except CallTooLarge as error:
            raise CallRefused(str(error)) from None
        except (ScaffoldryError, OSError) as error:
            _logger.warning("the experiment's budget cannot be counted: %s", error)
            raise ProviderOutage("The experiment's budget cannot be counted.") from None

    def _ask(self, reservation: Reservation, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except ProviderTimeout:
            # The provider may have worked on it, and charge for that: nobody knows, so its bound stays counted.
            raise
        except ProviderError:
            self._settle(reservation, 0, 0)
            raise

    def _settle(self, reservation: Reservation, input_tokens: int, output_tokens: int) -> None:
        usd = cost(self._model.price, input_tokens, output_tokens)
        usage = Usage(calls=1, input_tokens=input_tokens, output_tokens=output_tokens, usd=usd)
        try:
            self._budget.settle(reservation, usage)
        except (ScaffoldryError, OSError) as error:
            # The answer is there, and the call is counted with the most it can have used.
            _logger.warning("a call's use could not be counted; its reservation stays: %s", error)
