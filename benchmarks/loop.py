"""The time the coordinator itself takes for an iteration, with 10, 100 and 1,000 scaffolds of history."""

import json
import time
import zlib
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.experiments import Silent
from coordinator.experiment import create, prepare
from coordinator.job_queue import JobQueue
from coordinator.loop import Loop
from coordinator.proposers import KeptTexts, Surroundings, build_proposer
from coordinator.proposing import make_task
from shared.file_manager import ExperimentFileManager
from shared.models import Job, Receipt, RunResult, Status

HISTORY = (10, 100, 1000)
EXAMPLES = 20
TOP_K, CHILDREN = 5, 2
SCAFFOLD = (
    'PARAMETERS = {"number": {"value": 0, "range": [0, 1000000]}}\n\n\n'
    "def process_input(input_string):\n    return input_string\n"
)


class InstantQueue(JobQueue):
    """Every run is committed at once, with a score that its name decides. ``spent``: seconds taken for that."""

    def __init__(self, files: ExperimentFileManager) -> None:
        self._files = files
        self._receipts: deque[tuple[Job, int, Receipt]] = deque()
        self.spent = 0.0

    def send(self, job: Job, attempt: int) -> None:
        """Commit the run."""
        began = time.perf_counter()
        now = datetime.now(UTC)
        score = None if job.run_type.startswith("preflight") else float(zlib.crc32(job.task_id.encode()) % 2)
        result = RunResult(
            **job.model_dump(), example_id="1", status=Status.OK, score=score, started_at=now, finished_at=now
        )
        with self._files.open_log(job.iteration, job.scaffold_id, job.run_type) as log:
            log.start(job, attempt, "bench", "sim/echo", "")
            log.finish(result)
        self._files.commit_result(result)
        self._receipts.append((job, attempt, Receipt.of(result)))
        self.spent += time.perf_counter() - began

    def receive(self, timeout: float) -> list[tuple[Job, int, Receipt]]:
        """All there is."""
        received = list(self._receipts)
        self._receipts.clear()
        return received

    def complaint(self) -> str | None:
        """Nothing to complain of."""
        return None


class TimedLoop(Loop):
    """Notes for each iteration how many scaffolds there were before it, and the seconds that were the coordinator's."""

    times: list[tuple[int, float]]

    def _iterate(self, iteration: int) -> bool:
        assert isinstance(self.queue, InstantQueue)
        history, began, spent = len(self.files.scaffold_ids()), time.perf_counter(), self.queue.spent
        more = super()._iterate(iteration)
        self.times.append((history, time.perf_counter() - began - (self.queue.spent - spent)))
        return more


def write_spec(folder: Path, iterations: int) -> Path:
    """A spec that evolves one scaffold; its path."""
    (folder / "start").mkdir(parents=True)
    (folder / "start" / "scaffold.py").write_text(SCAFFOLD)
    (folder / "data.jsonl").write_text("".join(f'{{"input": "{n}", "answer": "{n}"}}\n' for n in range(EXAMPLES)))
    loop = {"iterations": iterations, "initial": HISTORY[0], "top_k": TOP_K, "children": CHILDREN}
    spec: dict[str, Any] = {
        "name": "bench",
        "data": {split: {"path": "data.jsonl"} for split in ("train", "valid")},
        "scorer": {"name": "exact", "field": "answer"},
        "scaffolds": ["start"],
        "proposer": {"name": "mutate"},
        "baseline": False,
        "executor": {"model": "sim/echo"},
        "loop": {**loop, "train_per_scaffold": 3},
    }
    (folder / "spec.yaml").write_text(json.dumps(spec))
    return folder / "spec.yaml"


def measure(folder: Path) -> list[dict[str, float]]:
    """One row for each size of history: scaffolds, and the coordinator's seconds for the iteration after them."""
    iterations = 2 + (HISTORY[-1] - HISTORY[0]) // (TOP_K * CHILDREN)
    files = create(prepare(write_spec(folder / "spec", iterations)), folder / "experiments", image=None)
    spec = files.load_metadata().spec
    assert spec.proposer is not None
    task = make_task(files, spec, Surroundings(python="3", timeout=1, memory=1, cpus=1, output_limit=1))

    def connect(model: str) -> Any:
        raise SystemExit(f"Nothing here asks {model}.")

    loop = TimedLoop(
        files, InstantQueue(files), Silent(), build_proposer(spec.proposer, task, KeptTexts(files), connect)
    )
    loop.times = []
    loop.run()
    times = dict(loop.times)
    rows = [{"scaffolds": history, "seconds": times[history]} for history in HISTORY]
    for row in rows:
        print(json.dumps(row), flush=True)
    return rows
