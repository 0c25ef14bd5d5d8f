"""The plainest scorer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ScorerError
from shared.models import Example
from shared.scorers.exact import ExactScorer

CASES: list[tuple[str, Any, dict[str, Any], float]] = [
    ("yes", "yes", {}, 1.0),
    ("  yes\n", "yes", {}, 1.0),
    ("yes", " yes ", {}, 1.0),
    ("Yes", "yes", {}, 0.0),
    ("Yes", "yes", {"ignore_case": True}, 1.0),
    ("STRASSE", "straße", {"ignore_case": True}, 1.0),
    ("yes.", "yes", {}, 0.0),
    ("", "", {}, 1.0),
    ("18", 18, {}, 1.0),
    ("18.0", 18, {}, 0.0),
    ("true", True, {}, 1.0),
    ("null", None, {}, 1.0),
]


@pytest.mark.parametrize(("output", "answer", "options", "expected"), CASES)
def test_equality(output: str, answer: Any, options: dict[str, Any], expected: float) -> None:
    example = Example(id="1", input="?", fields={"answer": answer})
    assert ExactScorer(**options).score(output, example).value == expected


def test_another_field() -> None:
    example = Example(id="1", input="?", fields={"answer": "no", "label": "yes"})
    assert ExactScorer(field="label").score("yes", example).value == 1.0


def test_a_missing_field_names_the_example_and_the_nearest_field() -> None:
    with pytest.raises(ScorerError, match=r"'7' has no field 'answer'.*did you mean 'answers'"):
        ExactScorer().score("x", Example(id="7", input="?", fields={"answers": "x"}))


@given(st.text(st.characters(codec=None)))
def test_any_text_is_scored_even_what_utf8_cannot_hold(output: str) -> None:
    assert ExactScorer().score(output, Example(id="1", input="?", fields={"answer": "18"})).value in (0.0, 1.0)


def test_feedback_stays_short() -> None:
    score = ExactScorer().score("x" * 1_000_000, Example(id="1", input="?", fields={"answer": "y" * 1_000_000}))
    assert score.feedback and len(score.feedback) < 300
