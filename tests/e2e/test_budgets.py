"""Budgets of whole experiments: nothing too much reaches a provider, and what was done until then is scored."""

import json
from pathlib import Path

import pytest

from shared.budget import Budget
from shared.file_manager import ExperimentFileManager
from shared.models.spec import BudgetSpec
from tests.conftest import COMMAND, ROOT, scaffoldry
from tests.e2e.conftest import only_experiment, result_files, scoring_bytes, write_experiment
from tests.providers import ANSWER_SECONDS, provider

EVOLVE = ROOT / "examples" / "evolve" / "experiment.yaml"


def run(spec: Path, data_dir: Path, *settings: str, **environment: str) -> tuple[Path, str]:
    """Run a spec with 4 slots to an end that is no failure; the experiment, and what was said."""
    options = [word for setting in ("sandbox=process", *settings) for word in ("--set", setting)]
    arguments = ["run", str(spec), "--data-dir", str(data_dir), "--concurrency", "4", *options]
    done = scaffoldry(*arguments, cwd=data_dir.parent, **environment)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return only_experiment(data_dir), done.stderr


def check_stopped(experiment: Path, reason: str, talk: str, **environment: str) -> None:
    """It says why it stopped, its scores are the means of what was committed, and a resume does not go on."""
    assert f"{reason} is used up" in talk
    assert f"{COMMAND} resume {experiment}" in talk
    scores: dict[str, dict[str, list[float]]] = {}
    for path in result_files(experiment):
        iteration, scaffold_id, name = path.relative_to(experiment / "results").parts
        result = json.loads(path.read_text())
        assert result["status"] == "ok", result  # a run whose call was refused is not committed
        if not name.startswith("preflight_"):
            key = f"scores_{iteration}.json {name.split('_')[0]}"
            scores.setdefault(key, {}).setdefault(scaffold_id, []).append(result["score"])
    found = {
        f"{path.name} {split}": {id: pytest.approx(mean) for id, mean in means.items()}
        for path in (experiment / "scoring").glob("scores_*.json")
        for split, means in json.loads(path.read_text()).items()
        if means
    }
    assert {key: {id: sum(s) / len(s) for id, s in by_id.items()} for key, by_id in scores.items()} == found

    files, before = result_files(experiment), scoring_bytes(experiment)
    again = scaffoldry("resume", str(experiment), "--concurrency", "4", cwd=experiment, **environment)
    assert again.returncode == 0, again.stderr
    assert f"{reason} is used up" in again.stderr
    assert (result_files(experiment), scoring_bytes(experiment)) == (files, before)


def counted_calls(experiment: Path) -> int:
    """The calls that the experiment's budget counts."""
    return Budget(ExperimentFileManager.open(experiment), BudgetSpec()).spent().calls


def calls_in_results(experiment: Path) -> int:
    """The calls of all committed runs but trials, which ask nobody."""
    results = [path for path in result_files(experiment) if not path.name.startswith("preflight_")]
    return sum(int(json.loads(path.read_text())["usage"]["calls"]) for path in results)


def test_model_calls_over_several_generations(tmp_path: Path) -> None:
    """100 calls are used up while the second generation is validated."""
    settings = ("loop.valid_examples=10", "data.test.limit=10", "budget.llm_calls=100")
    experiment, talk = run(EVOLVE, tmp_path / "experiments", *settings)
    check_stopped(experiment, "The budget of 100 model calls (budget.llm_calls)", talk)
    assert (experiment / "scoring/scores_1.json").is_file()
    assert not [path for path in result_files(experiment) if path.name.startswith("test_")]
    assert 60 < calls_in_results(experiment) <= 100 == counted_calls(experiment)


def test_hours(tmp_path: Path) -> None:
    settings = ("loop.valid_examples=10", "data.test.limit=10", "budget.hours=0.001")
    experiment, talk = run(EVOLVE, tmp_path / "experiments", *settings)
    check_stopped(experiment, "The budget of 0.001 hours (budget.hours)", talk)
    assert not [path for path in result_files(experiment) if path.name.startswith("test_")]


PRICE = {"input": 1000.0, "output": 5000.0}
"""US dollars per million tokens."""


def check_usage(experiment: Path) -> None:
    """The calls of every run but a trial are of 10 and 2 tokens, in turn; the baseline makes one, the others three."""
    seen = set()
    for path in (path for path in result_files(experiment) if not path.name.startswith("preflight_")):
        result = json.loads(path.read_text())
        usage = result["usage"]
        waited, calls = usage.pop("wait_seconds"), usage["calls"]
        assert usage == {
            "calls": calls, "input_tokens": 10 * calls, "output_tokens": 2 * calls, "usd": pytest.approx(0.02 * calls)
        }  # fmt: skip
        assert calls * ANSWER_SECONDS <= waited <= result["execution_time"] + 0.001, result  # both are rounded
        seen.add(calls)
    assert seen == {1, 3}


def test_no_call_too_many_reaches_the_provider(tmp_path: Path) -> None:
    """Scaffolder and executor ask one provider, at 4 slots, and some calls are tried twice."""
    examples: list[dict[str, object]] = [{"input": f"number {n}", "answer": "seven"} for n in range(24)]
    with provider("s3cret") as server:
        spec = write_experiment(
            tmp_path / "spec",
            {},
            examples,
            data={"train": {"path": "data.jsonl", "limit": 4}, "valid": {"path": "data.jsonl", "offset": 4}},
            models={
                "mine": {"model": "openai/m", "base_url": server.base_url, "api_key_env": "MY_KEY", "price": PRICE}
            },
            executor={"model": "mine"},
            proposer={"name": "llm", "model": "mine"},
            loop={"iterations": 5, "initial": 2, "top_k": 1, "train_per_scaffold": 2},
            budget={"llm_calls": 100},
        )
        experiment, talk = run(spec, tmp_path / "experiments", MY_KEY="s3cret")
        assert len(server.requests) == 100 == counted_calls(experiment)
        assert 1 < server.most_at_once <= 4
        asked = [text for text in server.requests if "scaffold" in text]
        assert len(asked) >= 3  # ideas, and two scaffolds
        assert 50 < calls_in_results(experiment) <= 100 - len(asked)
        check_usage(experiment)
        check_stopped(experiment, "The budget of 100 model calls (budget.llm_calls)", talk, MY_KEY="s3cret")
        assert len(server.requests) == 100
    assert "s3cret" not in talk
    assert not [path for path in experiment.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
