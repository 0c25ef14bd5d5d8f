"""GSM8K's problems on a real model, over a real queue with two workers."""

import json
from pathlib import Path

import pytest

from tests.conftest import ROOT, dataset, scaffoldry
from tests.e2e.conftest import means_by_hand, only_experiment, result_files, worker


@pytest.mark.docker
@pytest.mark.redis
@pytest.mark.model
@pytest.mark.timeout(1500)
def test_gsm8k_on_the_local_model_with_two_workers(
    tmp_path: Path,
    redis_url: str,
    sandbox_image: str,
    smollm2: str,
) -> None:
    data_dir = tmp_path / "experiments"
    data_dir.mkdir()
    url = redis_url.removesuffix("/0") + "/5"
    problems = dataset("gsm8k/test.jsonl", "sums.jsonl")
    with worker(url, data_dir, "--concurrency", "2", name="a"), worker(url, data_dir, "--concurrency", "2", name="b"):
        spec = str(ROOT / "examples/gsm8k/experiment.yaml")
        path = f"data.valid.path={problems}"
        arguments = ["--data-dir", str(data_dir), "--broker-url", url, "--set", path, "--set", "executor.max_tokens=8"]
        done = scaffoldry("run", spec, *arguments, cwd=tmp_path, timeout=1400)
    assert done.returncode == 0, done.stderr
    experiment = only_experiment(data_dir)
    results = [json.loads(path.read_text()) for path in result_files(experiment)]
    assert len(results) == 3 * min(50, len(problems.read_text().splitlines()))
    assert {result["worker"] for result in results} == {"a", "b"}
    assert all(result["usage"]["calls"] for result in results if result["status"] == "ok")
    assert json.loads((experiment / "scoring/scores_0.json").read_text()) == means_by_hand(experiment)
