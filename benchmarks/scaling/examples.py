"""What examples cost each process that reads their plan, and what a budget costs each call of a model."""

import json
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from shared.file_manager import ExperimentFileManager
from shared.models import Example, Plan

COUNTS = (1_000, 10_000, 100_000)
QUESTION = "A question of some length, as those of GSM8K are. " * 5
ANSWER = "And its answer, with the way to it written out. " * 6
CALLS = 2_000
AT_ONCE = (1, 2, 4)


def measure(folder: Path) -> Iterator[dict[str, Any]]:
    """Rows about plans of several sizes, and about counting calls from several processes at once."""
    for count in COUNTS:
        files = ExperimentFileManager.create(folder, f"plan-{count}")
        runs = {f"valid_{n}": _example(n) for n in range(count)}
        files.save_plan(Plan(experiment=files.name, iteration=0, runs=runs, assigned={"valid": ("0",)}))
        del runs
        yield {"what": "plan", "examples": count, **_in_a_process(_read_plan, str(files))}
    for processes in AT_ONCE:
        files = ExperimentFileManager.create(folder, f"budget-{processes}")
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
            list(pool.map(_count_calls, [str(files)] * processes, [1] * processes))
            began = time.perf_counter()
            list(pool.map(_count_calls, [str(files)] * processes, [CALLS // processes] * processes))
            seconds = time.perf_counter() - began
        yield {"what": "budget", "processes": processes, "changes_per_second": CALLS / seconds}


def _example(number: int) -> Example:
    return Example(id=str(number), input=f"{number}: {QUESTION}", fields={"answer": ANSWER})


def _in_a_process(function: Any, argument: str) -> dict[str, float]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found: dict[str, float] = json.loads(pool.submit(function, argument).result())
        return found


def _read_plan(directory: str) -> str:
    files, before = ExperimentFileManager(Path(directory)), _resident()
    began = time.process_time()
    plan = files.load_plan(0)
    first = time.process_time() - began
    began = time.process_time()
    files.load_plan(0)
    again = time.process_time() - began
    size = (Path(directory) / "plans" / "0.json").stat().st_size
    return json.dumps(
        {
            "bytes_each": size / len(plan.runs),
            "cpu_seconds": first,
            "cpu_seconds_again": again,
            "memory_each": (_resident() - before) / len(plan.runs),
        }
    )


def _count_calls(directory: str, calls: int) -> None:
    files = ExperimentFileManager(Path(directory))
    for _ in range(calls):
        files.update_spending(lambda spent: spent.plus(calls=1, tokens=100))


def _resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
