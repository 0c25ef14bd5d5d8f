"""What an experiment may come to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.estimate import ExperimentEstimate, estimate, sentences
from shared.models import Example, ExperimentSpec

MINE = {"mine": {"model": "openai/m", "price": {"input": 1.0, "output": 4.0}}}
LLM = {"name": "llm", "model": "mine"}


def spec(**fields: Any) -> ExperimentSpec:
    minimal = {
        "name": "x",
        "data": {"valid": {"path": "v"}},
        "scorer": {"name": "exact"},
        "executor": {"model": "sim/echo"},
        "models": MINE,
    }
    return ExperimentSpec.model_validate({**minimal, **fields})


def data(characters: int = 400, **sizes: int) -> dict[str, list[Example]]:
    return {split: [Example(id=str(n), input="x" * characters) for n in range(size)] for split, size in sizes.items()}


def phases(found: ExperimentEstimate) -> dict[str, int]:
    return {phase.phase: phase.runs for phase in found.phases}


def test_given_scaffolds_alone() -> None:
    given = spec(scaffolds=("a", "b"), loop={"train_per_scaffold": 3, "repeats": 2, "valid_examples": 5})
    found = estimate(given, data(valid=10, train=10, test=10))
    assert phases(found) == {"the first generation": 2 * 5 * 2, "training": 2 * 3}
    assert (found.runs, found.calls) == (26, 26)


def test_an_evolving_experiment_by_hand() -> None:
    loop = {"iterations": 3, "initial": 4, "top_k": 2, "children": 3, "train_per_scaffold": 5, "repeats": 2}
    found = estimate(spec(scaffolds=("a",), proposer=LLM, loop=loop), data(valid=10, train=50, test=7))
    assert phases(found) == {
        "the first generation": (4 + 1) * 20,
        # Two parents, and up to one more scaffold for each of the six children; there are but four at first.
        "training": (4 + 8) * 5,
        "their children": 2 * 2 * 3 * 20,
        "the winner's test": 7 * 2,
        "trials with a mock model": (3 + 12 + 12) * 3,
    }
    executor, scaffolder = found.models
    assert executor.calls == found.runs - 81
    assert (executor.input_tokens, executor.output_tokens, executor.usd) == (
        executor.calls * 100,
        executor.calls * 100,
        0.0,
    )
    assert (scaffolder.calls, scaffolder.input_tokens, scaffolder.output_tokens) == (16, 16 * 3000, 16 * 4096)
    assert found.usd == scaffolder.usd == pytest.approx((16 * 3000 * 1.0 + 16 * 4096 * 4.0) / 1e6)


def test_validating_again() -> None:
    loop = {"iterations": 2, "initial": 3, "top_k": 2, "resample_validation": True, "valid_examples": 4}
    found = estimate(spec(proposer={"name": "mutate"}, scaffolds=("a",), baseline=False, loop=loop), data(valid=10))
    assert phases(found)["validating parents again"] == 2 * 4
    assert [model.role for model in found.models] == ["executor"]


def test_more_parents_than_there_are() -> None:
    loop = {"iterations": 3, "initial": 2, "top_k": 5, "train_per_scaffold": 1}
    found = estimate(spec(proposer=LLM, baseline=False, loop=loop), data(valid=1, train=9))
    assert phases(found)["training"] == 2 + 4
    assert phases(found)["their children"] == 2 + 4


def test_a_limit_a_price_and_no_calls_at_all() -> None:
    limited = estimate(spec(scaffolds=("a",), executor={"model": "mine", "max_tokens": 50}), data(valid=10))
    assert (limited.tokens, limited.usd) == (10 * 150, pytest.approx(10 * (100 + 4 * 50) / 1e6))
    unknown = estimate(spec(scaffolds=("a",), executor={"model": "openai/other"}), data(valid=10))
    assert unknown.usd is None
    none = estimate(spec(scaffolds=("a",), executor={"model": "openai/other", "max_calls": 0}), data(valid=10))
    assert (none.calls, none.tokens) == (0, 0)
    assert sentences(none) == ["10 runs: 10 for the first generation."]


def test_in_plain_sentences() -> None:
    loop = {"iterations": 2, "initial": 2, "top_k": 1, "valid_examples": 5}
    bounds = {"llm_calls": 10, "tokens": 10**6, "usd": 0.01}
    found = estimate(spec(proposer=LLM, loop=loop, budget=bounds), data(valid=10))
    assert sentences(found) == [
        "At most 32 runs: 15 for the first generation, 5 for their children, 12 for trials with a mock model.",
        "If each run makes one model call, with its input as the prompt and an answer of full length:",
        "  executor sim/echo: 20 calls, 2,000 tokens in, 2,000 out, about $0.00.",
        "  scaffolder mine: 4 calls, 12,000 tokens in, 16,384 out, about $0.0775.",
        "Together 24 model calls, 32,384 tokens, about $0.0775.",
        "The budget may end it before: 10 model calls.",
        "The budget may end it before: $0.0100.",
    ]
    unknown = sentences(estimate(spec(scaffolds=("a",), executor={"model": "openai/other"}), data(valid=10)))
    assert unknown[-1].endswith("out, cost not known (its price is not given).")


@given(
    iterations=st.integers(1, 6),
    initial=st.integers(1, 5),
    top_k=st.integers(1, 5),
    children=st.integers(1, 4),
    data_size=st.integers(1, 30),
)
def test_more_of_anything_is_never_less(
    iterations: int, initial: int, top_k: int, children: int, data_size: int
) -> None:
    loop = {"iterations": iterations, "initial": initial, "top_k": top_k, "children": children}
    base = estimate(spec(proposer=LLM, loop=loop), data(valid=data_size))
    for name in loop:
        more = estimate(spec(proposer=LLM, loop={**loop, name: loop[name] + 1}), data(valid=data_size))
        assert (more.runs, more.calls, more.tokens) >= (base.runs, base.calls, base.tokens)
