"""The examples: each spec loads and passes its checks, and each scaffold answers when a simulated model does."""

import runpy
import sys
import types
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coordinator.datasets import load_data
from coordinator.experiment import given_ids
from coordinator.plan import check_plans, first_assigned, plan_iteration
from coordinator.proposers import check_proposer
from coordinator.scaffolds import load_scaffolds, scaffold_warnings
from coordinator.spec import LoadedSpec, check_spec, load_spec
from shared.model_names import parse_model
from shared.models.example import Example
from shared.scorers import build_scorer
from worker.gateway.base import ChatRequest, Message
from worker.gateway.providers import build_provider

EXAMPLES = Path(__file__).parents[2] / "examples"
DATA = EXAMPLES.parents[1] / "shared" / "data"
OWN_DATA = {"arithmetic": 80, "evolve": 90, "evolve-llm": 0, "quickstart": 60}
"""The examples with data of their own, and the runs that the first iteration's plan begins with."""


def load(name: str, *overrides: str) -> tuple[LoadedSpec, dict[str, list[Example]]]:
    loaded = load_spec(EXAMPLES / name / "experiment.yaml", overrides)
    examples = load_data(loaded.spec.data, loaded.folder)
    check_spec(loaded, examples)
    return loaded, examples


def first_runs(loaded: LoadedSpec, examples: dict[str, list[Example]]) -> int:
    """The runs that the first iteration's plan begins with."""
    spec = loaded.spec
    return len(plan_iteration("e_1", 0, spec.loop, examples, first_assigned(spec, given_ids(spec))))


def model_calls(model: str, seed: int, max_tokens: int | None) -> Callable[[str, str], str]:
    """``execute_llm`` as a scaffold knows it, answered by a simulated model."""
    provider = build_provider(parse_model(model, {}))

    def execute_llm(prompt: str, system_prompt: str = "") -> str:
        system = (Message(role="system", content=system_prompt),) if system_prompt else ()
        messages = (*system, Message(role="user", content=prompt))
        return provider.complete(ChatRequest(messages=messages, seed=seed, max_tokens=max_tokens)).text

    return execute_llm


def mean_scores(monkeypatch: pytest.MonkeyPatch, name: str, model: str) -> list[float]:
    loaded, examples = load(name, f"executor.model={model}")
    spec = loaded.spec
    module = types.ModuleType("llm_executor")
    module.execute_llm = model_calls(model, spec.loop.seed, spec.executor.max_tokens)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "llm_executor", module)
    scorer = build_scorer(spec.scorer, run_program=None)
    means = []
    for source in spec.scaffolds:
        program = runpy.run_path(str(loaded.folder / source / "scaffold.py"))["process_input"]
        scores = [scorer.score(program(example.input), example).value for example in examples["valid"]]
        means.append(sum(scores) / len(scores))
    return means


@pytest.mark.parametrize("name", OWN_DATA)
def test_an_example_with_data_of_its_own(name):
    loaded, examples = load(name)
    scaffolds = load_scaffolds(loaded.spec, loaded.folder, datetime.now(UTC))
    assert scaffold_warnings(scaffolds, loaded.folder) == []
    spec = loaded.spec
    check_plans(spec, examples)
    if spec.proposer is not None:
        check_proposer(spec.proposer, scaffolds, loaded.folder, spec.models)
    assert first_runs(loaded, examples) == OWN_DATA[name]


@pytest.mark.parametrize(
    ("name", "file", "runs"), [("gsm8k", "gsm8k/test.jsonl", 150), ("humaneval", "humaneval/HumanEval.jsonl", 164)]
)
def test_an_example_whose_data_the_user_brings(tmp_path, name, file, runs):
    line = {
        "gsm8k": '{"question": "How many?", "answer": "It is 2.\\n#### 2"}',
        "humaneval": '{"task_id": "T/0", "prompt": "def f():\\n", "entry_point": "f", "test": "def check(f): pass"}',
    }[name]
    own = tmp_path / "own.jsonl"
    own.write_text(line + "\n")
    real = DATA / file
    for path, expected in [(own, runs // (50 if name == "gsm8k" else 164)), *([(real, runs)] if real.exists() else [])]:
        loaded, examples = load(name, f"data.valid.path={path}")
        scaffolds = load_scaffolds(loaded.spec, loaded.folder, datetime.now(UTC))
        assert scaffold_warnings(scaffolds, loaded.folder) == []
        assert first_runs(loaded, examples) == expected


def test_with_a_model_that_errs_voting_beats_asking_once(monkeypatch):
    direct, vote = mean_scores(monkeypatch, "arithmetic", "sim/arithmetic:0.3")
    assert 0.5 < direct < vote < 1


def test_the_quickstart_makes_sense_with_simulated_models(monkeypatch):
    direct, sentence, vote = mean_scores(monkeypatch, "quickstart", "sim/arithmetic:0.3")
    assert vote > max(direct, sentence) and min(direct, sentence) >= 0.4
    assert mean_scores(monkeypatch, "quickstart", "sim/arithmetic:0") == [1.0, 1.0, 1.0]
    assert max(mean_scores(monkeypatch, "quickstart", "sim/echo")) < 1


def test_the_code_of_an_answer_is_taken_out_of_its_fence(monkeypatch):
    module = types.ModuleType("llm_executor")
    module.execute_llm = lambda prompt, system_prompt="": answers.pop()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "llm_executor", module)
    ask = runpy.run_path(str(EXAMPLES / "humaneval" / "scaffolds" / "ask" / "scaffold.py"))["process_input"]
    answers = ["Sure:\n```python\ndef f():\n    return 1\n```\nDone."]
    assert ask("def f():") == "def f():\n    return 1\n"
    answers = ["def f():\n    return 2\n"]
    assert ask("def f():") == "def f():\n    return 2\n"
    answers = ["```\ncut off"]
    assert ask("def f():") == "cut off"


@pytest.mark.parametrize(
    ("text", "number"),
    [("The answer is 1,234.", "1234"), ("so 3 + 4 = 7.0", "7"), ("none", ""), ("-2.50", "-2.50"), ("$18", "18")],
)
def test_the_last_number_of_a_gsm8k_answer(monkeypatch, text, number):
    module = types.ModuleType("llm_executor")
    module.execute_llm = lambda prompt, system_prompt="": text  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "llm_executor", module)
    program = runpy.run_path(str(EXAMPLES / "gsm8k" / "scaffolds" / "vote" / "scaffold.py"))
    assert program["last_number"](text) == number
    assert program["process_input"]("How many?") == (number or "no number")
