"""HumanEval's problems, whose answers are programs: the right ones pass, and no others."""

import json
from pathlib import Path

import pytest

from tests.conftest import dataset, scaffoldry
from tests.e2e.conftest import only_experiment, result_files, write_experiment


@pytest.mark.docker
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("name", "sandbox", "most", "score"),
    # Each run takes two sandboxes, and containers are dear.
    [
        ("canonical", "process", 164, 1.0),
        ("pass", "process", 164, 0.0),
        ("canonical", "docker", 12, 1.0),
        ("pass", "docker", 8, 0.0),
    ],
)
def test_humaneval_canonical_solutions_and_pass(
    name: str, sandbox: str, most: int, score: float, tmp_path: Path, sandbox_image: str
) -> None:
    data_dir = tmp_path / "experiments"
    problems = dataset("humaneval/HumanEval.jsonl", "functions.jsonl")
    lines = [json.loads(line) for line in problems.read_text().splitlines()]
    solutions = {line["prompt"]: line["canonical_solution"] for line in lines}
    scaffolds = {
        "canonical": f"SOLUTIONS = {solutions!r}\n\ndef process_input(input_string):\n"
        "    return SOLUTIONS[input_string]\n",
        "pass": "def process_input(input_string):\n    return '    pass\\n'\n",
    }
    data = {"valid": {"path": str(problems), "input": "prompt", "id": "task_id", "limit": most}}
    settings = {"data": data, "scorer": {"name": "python_tests"}, "sandbox": sandbox}
    spec = write_experiment(tmp_path / "spec", {name: scaffolds[name]}, [], **settings)
    done = scaffoldry("run", str(spec), "--data-dir", str(data_dir), cwd=tmp_path, timeout=550)
    assert done.returncode == 0, done.stderr
    experiment = only_experiment(data_dir)
    assert len(result_files(experiment)) == min(most, len(lines))
    assert json.loads((experiment / "scoring/scores_0.json").read_text())["valid"] == {"0": score}
