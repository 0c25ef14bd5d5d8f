"""The most that one call may use."""

import pytest

from shared.call_bounds import LONGEST_ANSWER, answer_bound, cost, prompt_bound
from shared.model_names import parse_model
from shared.models.spec import Price
from worker.gateway import anthropic, local
from worker.gateway.base import ChatRequest, Message
from worker.gateway.providers import PROVIDERS


def test_the_providers_own_limits_are_what_is_reserved() -> None:
    assert (LONGEST_ANSWER["anthropic"], LONGEST_ANSWER["local"]) == (anthropic._MAX_TOKENS, local.MAX_TOKENS)


def test_a_limit_goes_before_the_usual_length() -> None:
    model = parse_model("openai/m", {})
    assert (answer_bound(model, 7, 100), answer_bound(model, None, 100)) == (7, 4096)


def test_a_prompt_counts_its_bytes_and_what_a_template_adds() -> None:
    assert prompt_bound(["abc", "äö"]) == 64 + 16 + 3 + 16 + 4


@pytest.mark.parametrize("text", ["2 + 3", "", "!?" * 500, "wörter " * 100, "a\tb\n" * 50])
@pytest.mark.parametrize("name", ["sim/echo", "sim/arithmetic", "sim/script:x"])
def test_no_simulated_model_uses_more(name: str, text: str) -> None:
    script = '["' + "long answers, " * 40 + '"]'
    model = parse_model(name, {})
    model = model.model_copy(update={"script_text": script if model.script else None})
    completion = PROVIDERS.get("sim")(model).complete(ChatRequest(messages=(Message(role="user", content=text),)))
    prompt = prompt_bound([text])
    assert completion.input_tokens <= prompt
    assert completion.output_tokens <= answer_bound(model, None, prompt)


def test_a_cost_is_per_million_tokens() -> None:
    assert cost(Price(input=1.0, output=2.0), 1000, 500) == pytest.approx(0.002)
    assert cost(None, 1000, 500) is None
