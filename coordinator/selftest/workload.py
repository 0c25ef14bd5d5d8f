"""The experiment that everything is done to: many short runs and some long ones, with the same answers every time."""

import json
import random
from pathlib import Path

from shared.models.base import Frozen

ASKING = """import json, time
from llm_executor import execute_llm

def process_input(input_string):
    task = json.loads(input_string)
    time.sleep(task["seconds"])
    return execute_llm(task["sum"])
"""
"""For containers: it asks the model, through the gateway."""
THINKING = """import json, time

def process_input(input_string):
    task = json.loads(input_string)
    time.sleep(task["seconds"])
    left, right = map(int, task["sum"].split(" + "))
    return str(left + right - (left % 4 == 0))
"""
"""For plain processes, which have no gateway: wrong where the first number is a multiple of four."""
SIMULATED = "sim/arithmetic:0.3"


class Workload(Frozen):
    """``jobs`` runs, ``long`` of which sleep ``seconds`` s. ``seed`` decides the sums and the model."""

    jobs: int = 300
    long: int = 30
    seconds: float = 10.0
    timeout: float = 60.0
    """The deadline of a run, in seconds."""
    sandbox: str = "docker"
    seed: int = 0
    provider: str | None = None
    """The URL of a provider to ask instead of the simulated model."""
    max_calls: int | None = None
    """The experiment's budget of model calls."""

    def is_long(self, index: int) -> bool:
        """Whether the run of that index sleeps."""
        return self.long > 0 and index % (self.jobs // self.long) == 0

    @property
    def run_types(self) -> tuple[str, ...]:
        """The run types that are planned, in order."""
        return tuple(f"valid_{index}" for index in range(self.jobs))

    def share(self, of: int, least: int = 2) -> int:
        """How often something is done to this workload that is done ``of`` times to one of 300 runs."""
        return max(least, min(of, round(of * self.jobs / 300)))

    def write(self, folder: Path) -> Path:
        """Write the spec, the examples and the scaffold into a folder; the spec's path."""
        (folder / "sums").mkdir(parents=True)
        (folder / "sums" / "scaffold.py").write_text(ASKING if self.sandbox == "docker" else THINKING)
        (folder / "sums.jsonl").write_text("".join(json.dumps(line) + "\n" for line in self._examples()))
        spec = folder / "spec.yaml"
        spec.write_text(json.dumps(self._spec(), indent=2))
        return spec

    def _examples(self) -> list[dict[str, str]]:
        dice = random.Random(f"sums {self.seed}")
        examples = []
        for index in range(self.jobs):
            left, right = dice.randrange(10, 1000), dice.randrange(10, 1000)
            task = {"sum": f"{left} + {right}", "seconds": self.seconds if self.is_long(index) else 0.0}
            examples.append({"input": json.dumps(task), "answer": str(left + right), "id": f"sum-{index}"})
        return examples

    def _spec(self) -> dict[str, object]:
        spec: dict[str, object] = {
            "name": "selftest",
            "data": {"valid": {"path": "sums.jsonl", "id": "id"}},
            "scorer": {"name": "numeric", "field": "answer"},
            "scaffolds": ["sums"],
            "executor": {"model": SIMULATED, "timeout": self.timeout, "memory": "64m"},
            "loop": {"seed": self.seed},
            "sandbox": self.sandbox,
        }
        if self.provider is not None:
            model = {"model": "openai/selftest", "base_url": self.provider, "api_key_env": "SCAFFOLDRY_SELFTEST_KEY"}
            spec["models"] = {"scripted": model}
            spec["executor"] = {"model": "scripted", "timeout": self.timeout, "memory": "64m"}
        if self.max_calls is not None:
            spec["budget"] = {"llm_calls": self.max_calls}
        return spec
