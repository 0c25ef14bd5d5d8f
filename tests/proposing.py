"""What the tests of proposers share: a task, orders, and a scaffolder that answers what it was told to."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from coordinator.proposers import Order, Parent, Surroundings, Task, TrainRun
from coordinator.scaffolder import ModelClient
from shared.models import Example, ScaffoldMetadata, ScaffoldResult, Status, Usage
from shared.models.ask import Answer, AskRequest

PLAIN = '''"""Asks."""
from llm_executor import execute_llm

PARAMETERS = {
    "votes": {"value": 1, "range": [1, 9]},  # an odd number breaks ties
    "heat": {"value": 0.2, "range": [0.0, 1.0]},
    "style": {"value": "short", "choices": ["short", "long", "größer"]},
}


def process_input(input_string):
    return execute_llm(input_string)
'''
ANSWER = f"Here it is.\n\n```python\n{PLAIN}```\n"


def scaffold(code: str = PLAIN, **metadata: Any) -> ScaffoldResult:
    return ScaffoldResult(code=code, metadata=ScaffoldMetadata(created_at=datetime(2026, 1, 1, tzinfo=UTC), **metadata))


def task(**changed: Any) -> Task:
    found = Surroundings(
        python="3.11.2",
        packages=("numpy 2.1.0",),
        timeout=45.0,
        memory=512 * 1024**2,
        cpus=1.5,
        output_limit=1024**2,
        max_calls=7,
    )
    values: dict[str, Any] = {
        "task": "Add the numbers.",
        "examples": tuple(Example(id=str(n), input=f"{n} + 1", fields={"answer": n + 1}) for n in range(10, 15)),
        "surroundings": found,
        "scorer": "numeric",
        "scorer_source": "def score(): return 'THE SCORER'",
        "given": (scaffold(source="given"),),
    }
    return Task(**{**values, **changed})


def first(index: int = 0, count: int = 4, seed: int = 0) -> Order:
    return Order(kind="first", scaffold_id=str(1 + index), number=index, index=index, count=count, seed=seed)


def parent(code: str = PLAIN) -> Parent:
    run = TrainRun(
        example=Example(id="7", input="THE INPUT", fields={"answer": "THE EXPECTED"}),
        status=Status.OK,
        output="THE OUTPUT",
        score=0.25,
        feedback="THE FEEDBACK",
        error_message=None,
        log="THE LOG",
    )
    return Parent(scaffold_id="0", scaffold=scaffold(code), valid_mean=0.625, runs=(run,))


def child(index: int = 0, count: int = 3, seed: int = 0, code: str = PLAIN) -> Order:
    values: dict[str, Any] = {"number": 10 + index, "index": index, "count": count, "seed": seed}
    return Order(kind="child", scaffold_id=f"0-{index}", parent=parent(code), **values)


class FakeClient(ModelClient):
    """Answers with a function of the request, or raises what that returns. Notes what it was asked."""

    def __init__(self, answer: Callable[[AskRequest], str | Answer | Exception] = lambda request: ANSWER) -> None:
        self._answer = answer
        self.asked: list[AskRequest] = []
        self.closed = False

    def ask(self, request: AskRequest) -> Answer:
        self.asked.append(request)
        answer = self._answer(request)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Answer):
            return answer
        return Answer(text=answer, usage=Usage(calls=1, input_tokens=100, output_tokens=10, usd=0.25))

    def close(self) -> None:
        self.closed = True
