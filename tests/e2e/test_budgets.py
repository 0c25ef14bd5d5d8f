"""Budgets of whole experiments: nothing too much reaches a provider, and what was done until then is scored."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from shared.budget import Budget
from shared.file_manager import ExperimentFileManager
from shared.models.spec import BudgetSpec
from tests.conftest import COMMAND, ROOT, scaffoldry
from tests.e2e.conftest import only_experiment, result_files, scoring_bytes, write_experiment

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


@pytest.mark.timeout(150)
def test_model_calls_over_several_generations(tmp_path: Path) -> None:
    """100 calls are used up while the second generation is validated."""
    settings = ("loop.valid_examples=10", "data.test.limit=10", "budget.llm_calls=100")
    experiment, talk = run(EVOLVE, tmp_path / "experiments", *settings)
    check_stopped(experiment, "The budget of 100 model calls (budget.llm_calls)", talk)
    assert (experiment / "scoring/scores_1.json").is_file()
    assert not [path for path in result_files(experiment) if path.name.startswith("test_")]
    assert 60 < calls_in_results(experiment) <= 100 == counted_calls(experiment)


@pytest.mark.timeout(100)
def test_hours(tmp_path: Path) -> None:
    settings = ("loop.valid_examples=10", "data.test.limit=10", "budget.hours=0.001")
    experiment, talk = run(EVOLVE, tmp_path / "experiments", *settings)
    check_stopped(experiment, "The budget of 0.001 hours (budget.hours)", talk)
    assert not [path for path in result_files(experiment) if path.name.startswith("test_")]


# ---------------------------------------------------------------------- a provider that counts

SCAFFOLD = """```python
from llm_executor import execute_llm


def process_input(input_string):
    return [execute_llm(f"{input_string} {number}") for number in range(3)][-1]
```"""


class Provider(ThreadingHTTPServer):
    """Speaks the protocol of OpenAI: one scaffold for whoever asks for scaffolds, and else the same word."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.lock = threading.Lock()
        self.requests: list[str] = []
        self.now = self.most_at_once = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Answer(BaseHTTPRequestHandler):
    """One request; every seventh is refused for a moment, so that it is tried again."""

    server: Provider

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with self.server.lock:
            self.server.requests.append(text)
            number = len(self.server.requests)
            self.server.now += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.now)
        assert self.headers["Authorization"] == "Bearer s3cret"
        time.sleep(0.03)
        with self.server.lock:
            self.server.now -= 1
        if number % 7 == 0:
            self._reply(503, {"error": {"message": "busy"}})
            return
        content = SCAFFOLD if "scaffold" in text else "seven"
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
        usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
        self._reply(
            200,
            {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
            | {"usage": usage},
        )

    def _reply(self, code: int, record: dict[str, Any]) -> None:
        body = json.dumps(record).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider on a free port of the loopback address."""
    with Provider() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.timeout(150)
def test_no_call_too_many_reaches_the_provider(tmp_path: Path) -> None:
    """Scaffolder and executor ask one provider, at 4 slots, and some calls are tried twice."""
    examples: list[dict[str, object]] = [{"input": f"number {n}", "answer": "seven"} for n in range(24)]
    with provider() as server:
        spec = write_experiment(
            tmp_path / "spec",
            {},
            examples,
            data={"train": {"path": "data.jsonl", "limit": 4}, "valid": {"path": "data.jsonl", "offset": 4}},
            models={"mine": {"model": "openai/m", "base_url": server.base_url, "api_key_env": "MY_KEY"}},
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
        check_stopped(experiment, "The budget of 100 model calls (budget.llm_calls)", talk, MY_KEY="s3cret")
        assert len(server.requests) == 100
    assert not [path for path in experiment.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
