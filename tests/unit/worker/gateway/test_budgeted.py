"""A provider within the experiment's budget."""

from pathlib import Path
from typing import Any

import pytest

from shared.budget import Budget
from shared.call_bounds import prompt_bound
from shared.errors import ModelConfigError
from shared.file_manager import ExperimentFileManager
from shared.model_names import ModelRef, parse_model
from shared.models.spec import BudgetSpec, ModelSpec
from worker.gateway.base import (
    ChatRequest,
    Completion,
    Message,
    Provider,
    ProviderError,
    ProviderOutage,
    ProviderTimeout,
    TransientProviderError,
)
from worker.gateway.budgeted import BudgetedProvider, CallRefused, ExperimentBudgetExceeded
from worker.gateway.caller import Caller

PRICED = parse_model("mine", {"mine": ModelSpec(model="openai/m", price={"input": 10.0, "output": 100.0})})
REQUEST = ChatRequest(messages=(Message(role="user", content="hello"),), max_tokens=50)
MOST = prompt_bound(["hello"]) + 50


class Scripted(Provider):
    """Raises or returns what it is told, in order, the last again and again; probes likewise."""

    def __init__(self, *outcomes: Completion | Exception, probe: Exception | None = None) -> None:
        self.outcomes = list(outcomes)
        self.probe_outcome = probe
        self.asked = self.probed = 0

    def complete(self, request: ChatRequest) -> Completion:
        self.asked += 1
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def probe(self, request: ChatRequest) -> None:
        self.probed += 1
        if self.probe_outcome:
            raise self.probe_outcome


ANSWER = Completion(text="hi", input_tokens=9, output_tokens=2)


def budget(directory: Path, **bounds: Any) -> Budget:
    return Budget(ExperimentFileManager(directory), BudgetSpec(**bounds))


def budgeted(provider: Provider, mine: Budget, model: ModelRef = PRICED) -> BudgetedProvider:
    return BudgetedProvider(provider, mine, model)


def test_an_answer_counts_what_it_took(tmp_path: Path) -> None:
    mine = budget(tmp_path, tokens=1000, usd=1.0)
    assert budgeted(Scripted(ANSWER), mine).complete(REQUEST) == ANSWER
    assert (mine.spent().calls, mine.spent().tokens) == (1, 11)
    assert mine.spent().usd == pytest.approx((9 * 10 + 2 * 100) / 1e6)


@pytest.mark.parametrize(
    ("outcome", "tokens"),
    [
        (ProviderError("too long", 400), 0),
        (TransientProviderError("busy", 429), 0),
        (ProviderTimeout("hangs"), MOST),
        (ValueError("a bug"), MOST),
        (Completion(text="a server that does not count"), MOST),
    ],
)
def test_what_is_not_known_to_have_cost_less_stays_counted(
    tmp_path: Path, outcome: Completion | Exception, tokens: int
) -> None:
    mine = budget(tmp_path, tokens=1000)
    provider = budgeted(Scripted(outcome), mine)
    if isinstance(outcome, Exception):
        with pytest.raises(type(outcome)):
            provider.complete(REQUEST)
    else:
        provider.complete(REQUEST)
    assert (mine.spent().calls, mine.spent().tokens) == (1, tokens)


def test_a_call_without_room_does_not_reach_the_provider(tmp_path: Path) -> None:
    inner = Scripted(ANSWER)
    provider = budgeted(inner, budget(tmp_path, llm_calls=2))
    provider.complete(REQUEST)
    provider.probe(REQUEST)
    for ask in (provider.complete, provider.probe):
        with pytest.raises(ExperimentBudgetExceeded, match=r"budget\.llm_calls") as raised:
            ask(REQUEST)
        assert raised.value.status == 429
    assert (inner.asked, inner.probed) == (1, 1)


def test_a_call_larger_than_the_budget_is_the_programs_own_trouble(tmp_path: Path) -> None:
    inner = Scripted(ANSWER)
    with pytest.raises(CallRefused, match="more than the whole budget") as raised:
        budgeted(inner, budget(tmp_path, tokens=MOST - 1)).complete(REQUEST)
    assert not isinstance(raised.value, ExperimentBudgetExceeded) and raised.value.status == 400
    assert inner.asked == 0


def test_where_the_count_cannot_be_kept_nothing_is_asked(tmp_path: Path) -> None:
    (tmp_path / "budget.json").write_text("{")
    inner = Scripted(ANSWER)
    with pytest.raises(ProviderOutage, match="cannot be counted"):
        Caller(budgeted(inner, budget(tmp_path, llm_calls=2)), backoff=0.001).call(REQUEST)
    assert (inner.asked, inner.probed) == (0, 0)


def test_an_answer_is_not_lost_where_its_use_cannot_be_noted(tmp_path: Path) -> None:
    class Breaking(Scripted):
        def complete(self, request: ChatRequest) -> Completion:
            (tmp_path / "budget.json").write_text("{")
            return super().complete(request)

    assert budgeted(Breaking(ANSWER), budget(tmp_path, llm_calls=2)).complete(REQUEST) == ANSWER


def test_dollars_need_a_price(tmp_path: Path) -> None:
    with pytest.raises(ModelConfigError, match="'openai/m' is not known"):
        budgeted(Scripted(ANSWER), budget(tmp_path, usd=1.0), parse_model("openai/m", {}))


class TestThroughTheCaller:
    """Retries and probes are calls like others."""

    def test_each_try_counts(self, tmp_path: Path) -> None:
        mine = budget(tmp_path, llm_calls=10)
        busy = TransientProviderError("busy", 429, retry_after=0.0)
        inner = Scripted(busy, busy, ANSWER)
        assert Caller(budgeted(inner, mine), timeout=60, backoff=0.001).call(REQUEST) == ANSWER
        assert inner.asked == mine.spent().calls == 3

    def test_no_try_is_made_beyond_the_budget_and_none_to_find_out_why(self, tmp_path: Path) -> None:
        inner = Scripted(TransientProviderError("busy", 429, retry_after=0.0))
        with pytest.raises(ExperimentBudgetExceeded):
            Caller(budgeted(inner, budget(tmp_path, llm_calls=3)), timeout=60, backoff=0.001).call(REQUEST)
        assert (inner.asked, inner.probed) == (3, 0)

    def test_a_probe_that_the_budget_does_not_allow_is_no_outage(self, tmp_path: Path) -> None:
        inner = Scripted(ProviderError("too long", 400))
        with pytest.raises(ExperimentBudgetExceeded):
            Caller(budgeted(inner, budget(tmp_path, llm_calls=1)), timeout=60).call(REQUEST)
        assert (inner.asked, inner.probed) == (1, 0)

    def test_a_call_too_large_is_refused_without_a_probe(self, tmp_path: Path) -> None:
        inner = Scripted(ANSWER)
        with pytest.raises(CallRefused):
            Caller(budgeted(inner, budget(tmp_path, tokens=60)), timeout=60).call(REQUEST)
        assert (inner.asked, inner.probed) == (0, 0)
