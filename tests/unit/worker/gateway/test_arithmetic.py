"""Finding arithmetic in text, and answering it rightly and wrongly."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.gateway.arithmetic import evaluate, near_miss, solve, written


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("What is 17 + 25?", "42"),
        ("3 * (4 + 5)", "27"),
        ("Work out ((2 + 3) * (4 - 1)) - -5.", "20"),
        ("1.5 + 0.25 =", "1.75"),
        ("10 / 4", "2.5"),
        ("1 / 3", "0.333333"),
        ("5 - 9", "-4"),
        ("-2 * 3", "-6"),
        ("-1 / 8", "-0.125"),
        ("7 times 8", "56"),
        ("7 x 8 x 2", "112"),
        ("7 \u00d7 8", "56"),
        ("9 \u00f7 3 \u2212 1", "2"),
        ("twelve? no: 12 plus 3 minus 1", "14"),
        ("100 divided by 8", "12.5"),
        ("2 ^ 10", "1024"),
        ("2 ** 3", "8"),
        ("1,000 + 2,500", "3500"),
        ("8-3", "5"),
        ("Think in 2-3 steps: 17 + 25", "42"),
        ("17 + 25. Think in 2-3 steps.", "42"),
        ("Q: 1 + 1\nA: 2\nQ: 3 + 4\nA:", "7"),
        ("Problem 12: (6 + 2) * 3", "24"),
        ("(a) 3 + 4", "7"),
        ("0.1 + 0.2", "0.3"),
    ],
)
def test_solved(text: str, answer: str) -> None:
    value = solve(text)
    assert value is not None and written(value) == answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no numbers here",
        "just 42",
        "1 / 0",
        "2 ** 100000",
        "9 ** 9 ** 9",
        "10 ** 64 ** 2",
        "+".join(["1"] * 5000),
        "(" * 300 + "1 + 1",
        "__import__('os').system('1 + ')",
    ],
)
def test_not_solved(text: str) -> None:
    assert solve(text) is None


@pytest.mark.parametrize("expression", ["x + 1", "f(1)", "[1]", "1 if 1 else 2", "'a' * 9", "1 // 2", "True + 1", "1j"])
def test_only_arithmetic_is_evaluated(expression: str) -> None:
    assert evaluate(expression) is None


@given(st.text(alphabet="0123456789+-*/().x ,^\n", max_size=300))
def test_solving_never_raises(text: str) -> None:
    value = solve(text)
    assert value is None or written(value)


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_agrees_with_python(a: int, b: int) -> None:
    assert solve(f"What is {a} + {b}?") == a + b
    assert solve(f"({a}) * ({b})") == a * b


def test_wrong_answers_are_wrong_and_vary() -> None:
    misses = {near_miss(Fraction(42), chance) for chance in range(1000)}
    assert Fraction(42) not in misses
    assert len(misses) == 40
