"""Outputs made to hang or crash a scorer: none raises, and each takes less than 100 ms of this process's time."""

import time

import pytest

from shared.models import Example, RunOutcome, Status
from shared.scorers import Scorer
from shared.scorers.choice import ChoiceScorer
from shared.scorers.exact import ExactScorer
from shared.scorers.numeric import NumericScorer
from shared.scorers.python_tests import MAX_OUTPUT, PythonTestsScorer

MB = 1_000_000
PIECES = [
    "1", "9,", "1,000", ",000", "1 ", "1e", "1/", "$ ", "####", "#### ", "#### 1", "####1. a ", "a", " ", "\n", "*",
    "(", "B", "B*", "B ", "B\n", "(B) ", "not (B) ", "answer ", "answer is ", "answer is B or C, ", "\\boxed{", "it's ",
    "so ", "A or ", "answer: (((((((", "if it is A ", "n't ", "B is ", "option ", "\ufdfa", "B\u0301", "\u202e", "\0",
    "\ud800", "the ", "x\t", "``", "é", "Paris ",
    "→", "->", "A: ", "→A: ", "=>→", "→ the ", "→B", "\\boxed", "\\boxed{\\text{",
    "```\n", "```\nx\n", "def add(", "def add(a\n", "def\u00a0add(a\n", "async  def add(a\n", "def ", "@x\n",
]  # fmt: skip
OUTPUTS = {
    **{f"{piece!r} repeated": piece * (MB // len(piece)) for piece in PIECES},
    "1e999999": "1e999999",
    "1e-999999": "-1e-999999",
    "a long power": "1e" + "9" * MB,
    "answer, then blanks": "answer" + " " * MB + "B",
    "answer, then filler": "answer: " + "the " * (MB // 4),
    "a mark, then blanks": "####" + " " * MB + "1",
    "a mark, then digits": "####" + "1" * MB,
    "no program: another blank": "def\u00a0add(a, b):\n    return a + b\n",
    "no function: two blanks": "async  def add(a, b):\n    return a + b\n",
    "fences of heads and of numbers": "".join(f"```\ndef add({n}\n```\n```\n{n}\n```\n" for n in range(MB // 32)),
    "digits, then a word": "9" * MB + " x",
}
FIELDS = {
    "answer": "B", "choices": ["Paris", "London", "Rome"], "number": 18, "entry_point": "add",
    "prompt": "def add(a, b):\n", "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
}  # fmt: skip


def no_verdict(scaffold_code: str, input_string: str, timeout: float) -> RunOutcome:
    """A sandbox that a program ends in without a word."""
    return RunOutcome(status=Status.OK, output="")


SCORERS: list[Scorer] = [
    ExactScorer(),
    ExactScorer(ignore_case=True),
    ChoiceScorer(),
    NumericScorer(field="number"),
    PythonTestsScorer(run_program=no_verdict),
]


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: scorer.name)
@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS.keys())
def test_nothing_raises_or_takes_long(scorer: Scorer, output: str) -> None:
    if isinstance(scorer, PythonTestsScorer):
        output = output[:MAX_OUTPUT]  # a longer one is not looked at
    example = Example(id="1", input="?", fields=FIELDS)
    times = []
    for _ in range(3):
        began = time.process_time()
        score = scorer.score(output, example)
        times.append(time.process_time() - began)
        assert 0.0 <= score.value <= 1.0
        assert len(score.feedback or "") < 1_000
    assert min(times) < 0.1
