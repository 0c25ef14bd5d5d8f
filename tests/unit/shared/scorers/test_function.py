"""A user's own scorer."""

from typing import Any

import pytest

from shared.errors import ScorerError, SpecError
from shared.models import Example, ScorerSpec
from shared.scorers import Score, Scorer, build_scorer, check_scorer

EXAMPLE = Example(id="e7", input="the question", fields={"answer": "B", "level": 3})


def scorer(body: str) -> Scorer:
    source = f"import math\nfrom shared.scorers import Score\n\ndef grade(output, example):\n    return {body}\n"
    return build_scorer(ScorerSpec(name="my_scorer:grade"), run_program=None, module_source=source)


ANSWERS: list[tuple[str, Score]] = [
    ("0.25", Score(value=0.25)),
    ("-3", Score(value=-3.0)),
    ("True", Score(value=1.0)),
    ("False", Score(value=0.0)),
    ("(0.5, 'half right')", Score(value=0.5, feedback="half right")),
    ("(1, None)", Score(value=1.0)),
    ("Score(value=0.75, feedback='good')", Score(value=0.75, feedback="good")),
    ("len(output) / example['level']", Score(value=1.0)),
    ("example['id'] == 'e7' and example['input'] == 'the question'", Score(value=1.0)),
    ("__import__('fractions').Fraction(1, 4)", Score(value=0.25)),
]


@pytest.mark.parametrize(("body", "expected"), ANSWERS)
def test_what_a_function_may_answer(body: str, expected: Score) -> None:
    assert scorer(body).score("abc", EXAMPLE) == expected


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("math.nan", "answered nan, which is not a finite number"),
        ("-math.inf", "answered -inf"),
        ("10 ** 400", "no float can hold"),
        ("None", "answered a NoneType"),
        ("'1.0'", "answered a str"),
        ("(1.0, 2.0)", "feedback that is a float"),
        ("(1.0, 'a', 'b')", "answered a tuple"),
        ("1j", "answered a complex"),
        ("Score.model_construct(value=math.nan, feedback=None)", "answered nan"),
    ],
)
def test_what_a_function_may_not_answer(body: str, sentence: str) -> None:
    with pytest.raises(ScorerError, match=sentence):
        scorer(body).score("abc", EXAMPLE)


def test_what_a_function_raises_passes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        scorer("1 / 0").score("abc", EXAMPLE)


def test_a_function_cannot_change_the_example() -> None:
    scorer("example.clear() or 1.0").score("abc", EXAMPLE)
    assert EXAMPLE.fields == {"answer": "B", "level": 3}


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("def grade(:", r"SyntaxError.*line 1"),
        ("import no_such_module_here", "cannot be imported: No module named 'no_such_module_here'"),
        ("1 / 0", "fails while it loads: ZeroDivisionError"),
        ("def grades(output, example): ...", "no function 'grade'; did you mean 'grades'"),
        ("grade = 7", "no function 'grade'"),
    ],
)
def test_a_module_that_does_not_load_is_told_before_a_run(source: str, sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        check_scorer(ScorerSpec(name="my_scorer:grade"), module_source=source)


def test_a_module_on_the_import_path(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "installed_scorer_of_a_test.py").write_text("def grade(output, example): return output == 'x'\n")
    monkeypatch.syspath_prepend(tmp_path)
    built = build_scorer(ScorerSpec(name="installed_scorer_of_a_test:grade"), run_program=None)
    assert built.score("x", EXAMPLE).value == 1.0


def test_what_a_module_prints_as_it_loads_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    source = "print('loading')\ndef grade(output, example): return 1.0\n"
    check_scorer(ScorerSpec(name="my_scorer:grade"), module_source=source)
    assert capsys.readouterr() == ("", "loading\n")
