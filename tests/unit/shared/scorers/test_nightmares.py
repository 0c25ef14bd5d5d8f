"""Outputs made to hang or crash a scorer: none raises, and each takes less than 100 ms of this process's time."""

import time

import pytest

from shared.models import Example
from shared.scorers import Scorer
from shared.scorers.choice import ChoiceScorer
from shared.scorers.exact import ExactScorer
from shared.scorers.numeric import NumericScorer

MB = 1_000_000
PIECES = [
    "1", "9,", "1,000", ",000", "1 ", "1e", "1/", "$ ", "####", "#### ", "#### 1", "####1. a ", "a", " ", "\n", "*",
    "(", "B", "B*", "B ", "B\n", "(B) ", "not (B) ", "answer ", "answer is ", "answer is B or C, ", "\\boxed{", "it's ",
    "so ", "A or ", "answer: (((((((", "if it is A ", "n't ", "B is ", "option ", "\ufdfa", "B\u0301", "\u202e", "\0",
    "\ud800", "the ", "x\t", "``", "é", "Paris ",
    "→", "->", "A: ", "→A: ", "=>→", "→ the ", "→B", "\\boxed", "\\boxed{\\text{",
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
    "digits, then a word": "9" * MB + " x",
}
FIELDS = {"answer": "B", "choices": ["Paris", "London", "Rome"], "number": 18}
SCORERS: list[Scorer] = [ExactScorer(), ExactScorer(ignore_case=True), ChoiceScorer(), NumericScorer(field="number")]


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: scorer.name)
@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS.keys())
def test_nothing_raises_or_takes_long(scorer: Scorer, output: str) -> None:
    example = Example(id="1", input="?", fields=FIELDS)
    times = []
    for _ in range(3):
        began = time.process_time()
        score = scorer.score(output, example)
        times.append(time.process_time() - began)
        assert 0.0 <= score.value <= 1.0
        assert len(score.feedback or "") < 1_000
    assert min(times) < 0.1
