"""Reading numbers, and comparing them."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ScorerError
from shared.models import Example
from shared.scorers.number_reading import MAX_DIGITS, read_number
from shared.scorers.numeric import NumericScorer

READINGS: list[tuple[str, str | None]] = [
    ("18", "18"),
    ("1,000", "1000"),
    ("1,234,567.5", "2469135/2"),
    ("$18", "18"),
    ("\\$18", "18"),
    ("18.0", "18"),
    ("18.", "18"),
    (".5", "1/2"),
    ("#### 18", "18"),
    ("#### 18\nThat is 2 more than 16", "18"),
    ("#### 1. Start\nso it is 7", "7"),
    ("#### 12. Add\nso it is 7", "7"),
    ("#### 3\n#### 4", "4"),
    ("#### $1,234.50 in all", "2469/2"),
    ("#### \\boxed{5} of 6", "5"),
    ("5 #### nothing", "5"),
    ("-3", "-3"),
    ("\u22123", "-3"),
    ("(-3)", "-3"),
    ("= -3", "-3"),
    ("-$18", "-18"),
    ("$-18", "-18"),
    ("10-3", "3"),
    ("from 3\u20135", "5"),
    ("1/2", "1/2"),
    ("7 / 4", "7/4"),
    ("3/4/2024", "2024"),
    ("1/0", None),
    ("3.5e2", "350"),
    ("2E-1", "1/5"),
    ("50%", "50"),
    ("**42**", "42"),
    ("\\boxed{42}", "42"),
    ("1,2345", "2345"),
    ("1.2.3", "3"),
    ("12 apples and 13 pears", "13"),
    ("The answer is 18 dollars.", "18"),
    ("18 km/h", "18"),
    ("1e999999", None),
    ("1e-999999", None),
    ("1e" + "9" * 5000, None),
    ("nan", None),
    ("inf", None),
    ("-Infinity", None),
    ("\u0663", None),
    ("", None),
    ("none at all", None),
    ("9" * MAX_DIGITS, "9" * MAX_DIGITS),
    ("9" * (MAX_DIGITS + 1), None),
    ("7 then " + "9" * 100_000, None),
    ("1,000" * 20_000 + " and 5", "5"),
    ("," + "000," * 20_000 + "000", None),
]


@pytest.mark.parametrize(("text", "expected"), READINGS)
def test_the_number_of_a_text(text: str, expected: str | None) -> None:
    number = read_number(text)
    assert (number and number.value) == (None if expected is None else Fraction(expected))


def score(output: str, answer: Any, **options: Any) -> float:
    return NumericScorer(**options).score(output, Example(id="1", input="?", fields={"answer": answer})).value


@pytest.mark.parametrize("output", ["18", "18.0", "$18.00", "so 18.", "#### 18", "36/2", "1.8e1", "+18"])
@pytest.mark.parametrize("answer", ["9 * 2 = <<9*2=18>>18\n#### 18", "18", 18, 18.0])
def test_one_value_many_spellings(output: str, answer: Any) -> None:
    assert score(output, answer) == 1.0


def test_comparison_is_exact_where_floats_are_not() -> None:
    assert score("0.1", "0.10000000000000000001") == 0.0
    assert score("9007199254740993", 9007199254740992) == 0.0
    assert score("0.3", 0.3) == 1.0


@pytest.mark.parametrize(("output", "expected"), [("3.14", 1.0), ("3.15", 1.0), ("3.1501", 0.0), ("3.13", 1.0)])
def test_tolerance_is_a_difference_and_includes_its_end(output: str, expected: float) -> None:
    assert score(output, "3.14", tolerance=0.01) == expected


def test_feedback_quotes_the_number_as_it_was_written() -> None:
    example = Example(id="1", input="?", fields={"answer": "#### 1,000"})
    assert NumericScorer().score("$7.50", example).feedback == "Expected 1,000, but the last number is $7.50."


@pytest.mark.parametrize("answer", ["none", None, True, [18], float("nan"), 10**4000, "1e999999"])
def test_an_expected_field_without_a_number_is_the_examples_fault(answer: Any) -> None:
    with pytest.raises(ScorerError, match="holds no number"):
        score("18", answer)


def test_an_expected_number_too_long_to_be_written_is_the_examples_fault() -> None:
    with pytest.raises(ScorerError, match="holds no number"):
        score("18", 10**5000)


@given(st.text())
def test_any_text_is_scored(output: str) -> None:
    assert score(output, "18") in (0.0, 1.0)


@given(st.text(alphabet="0123456789,.-+eE/$# %\n"))
def test_any_text_of_digits_is_scored(output: str) -> None:
    assert score(output, "18") in (0.0, 1.0)


@given(st.integers(min_value=-(10**30), max_value=10**30))
def test_every_integer_is_read_back(value: int) -> None:
    assert score(f"The total is {value:,}.", value) == 1.0


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6))
def test_every_decimal_is_read_back(value: Any) -> None:
    assert score(f"so x = {value:f}.", str(value)) == 1.0
