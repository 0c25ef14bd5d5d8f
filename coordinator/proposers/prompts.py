"""What the templates of ``llm`` may use: plain texts out of the task, its examples and runs, none of them long."""

import json
from collections.abc import Sequence
from typing import Any

from coordinator.proposers.base import Order, Parent, Surroundings, Task, TrainRun
from shared.models.example import Example
from shared.models.limits import Limits
from shared.models.status import Status

TEXT_LIMIT = 2_000
"""Characters of an input, an answer, a field, an error; the middle of a longer one is left out."""
LOG_LIMIT = 4_000
CODE_LIMIT = 60_000
_MOST_PACKAGES = 300

Context = dict[str, Any]


def cut(text: str, limit: int = TEXT_LIMIT) -> str:
    """``text`` as valid Unicode of about ``limit`` characters at most: the middle of a longer one is left out."""
    clean = text.encode("utf-8", "replace").decode()
    if len(clean) <= limit:
        return clean
    half = limit // 2
    return f"{clean[:half]}\n... {len(clean) - 2 * half} characters left out ...\n{clean[-half:]}"


def common(task: Task, examples: int, show_scorer: bool) -> Context:
    """What every template may use."""
    return {
        "task": cut(task.task, CODE_LIMIT),
        "examples": [example_view(example) for example in task.examples[:examples]],
        "scorer": task.scorer,
        "scorer_source": cut(task.scorer_source, CODE_LIMIT) if show_scorer and task.scorer_source else None,
        **_surroundings(task.surroundings),
    }


def _surroundings(found: Surroundings) -> Context:
    return {
        "python": found.python,
        "packages": list(found.packages[:_MOST_PACKAGES]),
        "timeout": f"{found.timeout:g} seconds",
        "memory": _size(found.memory),
        "cpus": f"{found.cpus:g}",
        "output_limit": _size(found.output_limit),
        "max_calls": found.max_calls,
    }


def _size(number: int) -> str:
    for unit, size in (("GB", 1024**3), ("MB", 1024**2), ("KB", 1024)):
        if number >= size:
            return f"{number / size:.4g} {unit}"
    return f"{number} bytes"


def example_view(example: Example) -> dict[str, str]:
    """An example as a template sees it: ``input`` and ``expected``, the other fields of its line."""
    fields = [f"{name}: {cut(_as_text(value))}" for name, value in example.fields.items()]
    return {"input": cut(example.input), "expected": cut("\n".join(fields), 2 * TEXT_LIMIT)}


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def run_view(run: TrainRun) -> dict[str, Any]:
    """A parent's run: its example, ``status``, ``output``, ``score``, ``feedback``, ``error`` and ``log``."""
    return {
        **example_view(run.example),
        "status": run.status.value,
        "output": None if run.output is None else cut(run.output),
        "score": None if run.score is None else f"{run.score:.4g}",
        "feedback": None if run.feedback is None else cut(run.feedback),
        "error": None if run.error_message is None else cut(run.error_message),
        "log": cut(run.log, LOG_LIMIT),
    }


def worst(runs: Sequence[TrainRun], count: int) -> list[TrainRun]:
    """The ``count`` runs with the lowest scores, in the order they had: a mistake teaches more than a success."""

    def badness(place: int) -> tuple[float, int]:
        score = runs[place].score
        return (float("-inf") if score is None else score, place)

    chosen = sorted(sorted(range(len(runs)), key=badness)[:count])
    return [runs[place] for place in chosen]


def parent_view(parent: Parent, runs: int) -> Context:
    """What ``evolve.j2`` may use beside the rest, but for the order's numbers."""
    return {
        "parent": parent.scaffold_id,
        "code": cut(parent.scaffold.code, CODE_LIMIT),
        "score": f"{parent.valid_mean:.4g}",
        "runs": [run_view(run) for run in worst(parent.runs, runs)],
    }


def numbers(order: Order) -> Context:
    """Which of how many: ``number`` counts from 1."""
    return {"number": order.index + 1, "count": order.count}


def samples() -> dict[str, Context]:
    """For each template a context in which everything is there, to try it out with."""
    limits = Limits()
    example = Example(id="1", input="An input.", fields={"answer": "An answer."})
    surroundings = Surroundings(
        python="3.11.2",
        packages=("numpy 2.1.0",),
        timeout=limits.timeout,
        memory=limits.memory,
        cpus=limits.cpus,
        output_limit=limits.output_limit,
        max_calls=5,
    )
    task = Task(
        task="A task.", examples=(example,) * 3, surroundings=surroundings, scorer="exact", scorer_source="# Code."
    )
    run = TrainRun(
        example=example, status=Status.OK, output="Out.", score=0.5, feedback="So.", error_message="Oh.", log="Log."
    )
    shared, which = common(task, 3, True), {"number": 1, "count": 2}
    evolving = {"parent": "0", "code": "# Code.", "score": "0.5", "runs": [run_view(run)] * 3}
    return {
        "system.j2": shared,
        "ideas.j2": {**shared, "count": 2},
        "first.j2": {**shared, **which, "idea": "An idea."},
        "evolve.j2": {**shared, **which, **evolving},
        "repair.j2": {**shared, "code": "# Code.", "response": "An answer.", "problem": "A traceback."},
    }
