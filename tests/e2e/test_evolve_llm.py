"""A model writes the scaffolds: mistakes and all, from the first to the winner's test."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, dataset, scaffoldry
from tests.e2e.conftest import only_experiment, scoring_bytes

EXAMPLE = ROOT / "examples" / "evolve-llm"

pytestmark = pytest.mark.docker


def notes(experiment: Path, scaffold_id: str) -> dict[str, Any]:
    return json.loads((experiment / "scaffolds" / scaffold_id / "metadata.json").read_text())["notes"]


def prompts(experiment: Path) -> str:
    """Every prompt of an experiment, as text."""
    told = [json.loads(path.read_text())["prompt"] for path in (experiment / "proposer").glob("ideas.json")]
    for path in (experiment / "scaffolds").glob("*/metadata.json"):
        told += [attempt["prompt"] or "" for attempt in json.loads(path.read_text())["notes"].get("attempts", ())]
    return "\n".join(told)


def questions(path: Path) -> list[str]:
    return [json.loads(line)["question"] for line in path.read_text().splitlines()]


@pytest.mark.timeout(900)
def test_a_scaffolder_that_makes_every_mistake(tmp_path: Path, sandbox_image: str) -> None:
    small = ("--set", "data.valid.limit=8", "--set", "data.test.limit=6")
    arguments = ["run", str(EXAMPLE / "experiment.yaml"), "--data-dir", str(tmp_path / "x"), *small]
    done = scaffoldry(*arguments, cwd=tmp_path, timeout=280)
    assert done.returncode == 0, done.stderr
    assert "Traceback (most recent call last):\n" not in done.stderr
    experiment = only_experiment(tmp_path / "x")

    attempts = {id: len(notes(experiment, id)["attempts"]) for id in ("0", "1", "2", "3", "4", "0-0")}
    assert attempts == {"0": 1, "1": 2, "2": 3, "3": 3, "4": 1, "0-0": 1}
    assert "not valid Python" in notes(experiment, "1")["attempts"][1]["prompt"]  # it was told what was wrong
    assert "ModuleNotFoundError" in notes(experiment, "2")["skipped"]
    assert "timed out" in notes(experiment, "3")["skipped"]
    for id in ("2", "3"):
        assert f"Scaffold {id} was skipped after 3 attempts" in done.stderr

    first, second = (json.loads((experiment / f"scoring/scores_{n}.json").read_text()) for n in (0, 1))
    assert set(first["valid"]) == {"0", "1", "4", "baseline"} and first["valid"]["4"] == 0.0
    assert set(second["train"]) == {"0"} and set(second["valid"]) == {"0-0"}
    assert second["valid"]["0-0"] > max(first["valid"].values())
    details = json.loads((experiment / "scoring/details_1.json").read_text())
    assert details["winner"]["scaffold_id"] == "0-0" and details["splits"]["test"]["0-0"]["complete"]

    told = prompts(experiment)
    assert any(question in told for question in questions(EXAMPLE / "train.jsonl"))
    for split in ("valid", "test"):
        assert [question for question in questions(EXAMPLE / f"{split}.jsonl") if question in told] == []

    before = scoring_bytes(experiment)
    again = scaffoldry("resume", str(experiment), cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert scoring_bytes(experiment) == before
    assert {id: len(notes(experiment, id)["attempts"]) for id in attempts} == attempts


@pytest.mark.model
@pytest.mark.timeout(900)
def test_a_real_small_model_that_mostly_writes_rubbish(tmp_path: Path, sandbox_image: str, smollm2: str) -> None:
    """It ends by itself, says what was skipped and why, and the baseline is scored."""
    problems, lessons = dataset("gsm8k/test.jsonl", "sums.jsonl"), dataset("gsm8k/train_500.jsonl", "sums.jsonl")
    spec = {
        "name": "gsm8k",
        "task": "Solve a grade-school maths problem; answer with the number alone.",
        "data": {
            "train": {"path": str(lessons), "input": "question", "limit": 4},
            "valid": {"path": str(problems), "input": "question", "offset": 4, "limit": 3},
        },
        "scorer": {"name": "numeric", "field": "answer"},
        "proposer": {"name": "llm", "model": smollm2, "max_tokens": 32, "examples": 1},
        "executor": {"model": smollm2, "max_tokens": 8, "timeout": 300, "memory": "256m"},
        "loop": {"iterations": 2, "initial": 2, "top_k": 1, "children": 1, "train_per_scaffold": 1},
    }
    (tmp_path / "spec.yaml").write_text(json.dumps(spec))
    done = scaffoldry("run", "spec.yaml", "--data-dir", str(tmp_path / "x"), cwd=tmp_path, timeout=880)
    assert done.returncode == 0, done.stderr
    experiment = only_experiment(tmp_path / "x")
    scores = json.loads((experiment / "scoring/scores_0.json").read_text())["valid"]
    assert "baseline" in scores
    for id in ("0", "1"):  # either it was skipped, and that was said with the reason, or it was scored
        reason = notes(experiment, id).get("skipped")
        assert (reason is None) == (id in scores)
        assert reason is None or (reason and f"Scaffold {id} was skipped after 3 attempts: " in done.stderr)
    told = prompts(experiment)
    assert told and not [question for question in questions(problems)[4:7] if question in told]
