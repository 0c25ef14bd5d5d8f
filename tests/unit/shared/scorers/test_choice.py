"""Reading multiple choice answers, case by case."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ScorerError
from shared.models import Example
from shared.scorers.choice import ChoiceScorer
from shared.scorers.choice_reading import Ambiguous, read_choice

AMBIGUOUS = "several choices"
LETTERS = dict.fromkeys("ABCDEFGHIJ", "")
CITIES = {"A": "Paris", "B": "London", "C": "Rome", "D": "Berlin"}

WITHOUT_TEXTS: list[tuple[str, str | None]] = [
    ("B", "B"),
    ("(b)", "B"),
    ("B.", "B"),
    ("**B**", "B"),
    ("Answer: B", "B"),
    ("The answer is (C).", "C"),
    ("I think it's B because A is wrong", "B"),
    ("option d", "D"),
    ("A dog is a good pet.", None),
    ("I", "I"),
    ("I don't know", None),
    ("Answer: I think it's B", "B"),
    ("Answer: A dog", None),
    ("The answer is a dog.", None),
    ("The answer is A because dogs bark", "A"),
    ("The answer is A or B", AMBIGUOUS),
    ("Both A and B.", None),
    ("The answer is both A and B.", AMBIGUOUS),
    ("The answer is B, C is wrong.", "B"),
    ("The answer is not B.", None),
    ("The answer is not (B).", None),
    ("I don't think the answer is B", None),
    ("I don't think it's A, it's C.", "C"),
    ("\\boxed{B}", "B"),
    ("So $\\boxed{\\text{B}}$.", "B"),
    ("<answer>B</answer>", "B"),
    ('{"answer": "B", "why": "x"}', "B"),
    ("**Answer:** B", "B"),
    ("**Answer**: (B) London", "B"),
    ("### Final Answer\n\nB", "B"),
    ("The final answer is:\n\n**(B)**", "B"),
    ("B\n\nBecause A is wrong.", "B"),
    ("A) x\nB) y\nC) z", AMBIGUOUS),
    ("A) x\nB) y\nC) z\nThe answer is C", "C"),
    ("vitamin C is good", None),
    ("The answer is C++", None),
    ("The answer is B vitamins", None),
    ("B is correct", "B"),
    ("Option A is wrong, so option B.", "B"),
    ("(A) is wrong. (B) fits.", "B"),
    ("B is not correct", None),
    ("If B is correct then", None),
    ("Is the answer B? No, it's C.", "C"),
    ("The answer cannot be B.", None),
    ("The answer isn't A but is B", "B"),
    ("My choice is C", "C"),
    ("I would go with D.", "D"),
    ("I'd pick the second", None),
    ("I choose A", "A"),
    ("A\nB\nC", AMBIGUOUS),
    ("First I thought the answer is A. But actually it's B.", "B"),
    ("The correct answer among these is therefore (D)", "D"),
    ("Q: which? A: B", "B"),
    ("A: Paris", None),
    ("f(a) = 3", None),
    ("", None),
    ("   ", None),
    ("Neither A nor B", None),
    ("The answer is\nB", "B"),
    ("Answer:B", "B"),
    ("answer: b", "B"),
    ("answer b", "B"),
    ("ANSWER: B!", "B"),
    ("[B]", "B"),
    ("[[B]]", "B"),
    ("\uff22", "B"),
    ("'B'", "B"),
    ("Answer - B", "B"),
    ("So, the answer must be E", "E"),
    ("Therefore B.", "B"),
    ("So a few dogs", None),
    ("So I", None),
    ("I think it's a", None),
    ("It is I who", None),
    ("The answer is B-cells", None),
    ("the answer is A.I. research", None),
    ("B and C are wrong, so it's D", "D"),
    ("B: because", "B"),
    ("Final answer (letter only): C", "C"),
    ("The answer I think is B", "B"),
    ("We can rule out (A).", None),
    ("the correct one is B", "B"),
    ("B is the answer.", "B"),
    ("is B correct? I can't tell", None),
    ("I'm not sure, but the answer is B", "B"),
    ("answer: B/C", AMBIGUOUS),
    ("Answer: A, B", AMBIGUOUS),
    ("Answer: A\nAnswer: B", "B"),
    ("Answer: **B** London", "B"),
    ("Answer: B) London", "B"),
    ("Answer: B)London", "B"),
    ("- B", "B"),
    ("Plan B is what we need", None),
    ("choice (d)", "D"),
    ("The answer is B. A is correct only if it rains", "B"),
    ("the answer would be A if it rained", None),
    ("Answer: The answer is B.", "B"),
    ("Option B is the best option.", "B"),
    ("option B", "B"),
    ("I'm going with option B here", "B"),
    ("\u2705 B", "B"),
    ("B ", "B"),
    ("B,", "B"),
    ("B) because it is", "B"),
    ("The right answer: *c*", "C"),
    ("Answer is D: dogs", "D"),
    ("A is wrong. B is wrong. C is right.", "C"),
    ("The correct answer is option (B): London", "B"),
    ("The answer is: **B. London**", "B"),
    ("The answer is **B. London**.", "B"),
    ("A", "A"),
    ("a", "A"),
    ("a)", "A"),
    ("I.", "I"),
    ("(I)", "I"),
    ("It's B or C", AMBIGUOUS),
    ("(A) or (B)", AMBIGUOUS),
    ("Hello, I am a model.", None),
]

WITH_CITIES: list[tuple[str, str | None]] = [
    ("Paris", "A"),
    ("paris.", "A"),
    ("The answer is Paris.", "A"),
    ("It is London, of course.", "B"),
    ("B) London", "B"),
    ("B. London", "B"),
    ("The answer is B London", "B"),
    ("The answer is Paris or London", AMBIGUOUS),
    ("A: Paris", "A"),
    ("A: London", "B"),
    ("I think the answer is London because it rains", "B"),
    ("The capital: Rome", None),
    ("...reasoning...\nRome", "C"),
    ("The answer is none of these", None),
]

WITH_OTHERS: list[tuple[dict[str, str], str, str | None]] = [
    ({"A": "-3", "B": "3"}, "The answer is -3", "A"),
    ({"A": "-3", "B": "3"}, "The answer is 3", "B"),
    ({"A": "no", "B": "yes"}, "It's no surprise", None),
    ({"A": "no", "B": "yes"}, "No", "A"),
    ({"1": "x", "2": "y"}, "Answer: 2", "2"),
]


def reading(output: str, choices: dict[str, str]) -> str | None:
    found = read_choice(output, choices)
    return AMBIGUOUS if isinstance(found, Ambiguous) else found


@pytest.mark.parametrize(("output", "expected"), WITHOUT_TEXTS)
def test_letters(output: str, expected: str | None) -> None:
    assert reading(output, LETTERS) == expected


@pytest.mark.parametrize(("output", "expected"), WITH_CITIES)
def test_texts_of_choices(output: str, expected: str | None) -> None:
    assert reading(output, CITIES) == expected


@pytest.mark.parametrize(("choices", "output", "expected"), WITH_OTHERS)
def test_other_choices(choices: dict[str, str], output: str, expected: str | None) -> None:
    assert reading(output, choices) == expected


@pytest.mark.parametrize(
    ("answer", "choices", "output"),
    [
        ("C", ["Paris", "London", "Rome"], "Answer: C"),
        ("(c)", None, "Answer: C"),
        (2, ["Paris", "London", "Rome"], "Answer: C"),
        ("2", ["Paris", "London", "Rome"], "Answer: C"),
        (2, None, "Answer: C"),
        ("Rome", ["Paris", "London", "Rome"], "Answer: C"),
        (" rome.", ["Paris", "London", "Rome"], "It is Rome."),
        ("Rome", {"A": "Paris", "C": "Rome"}, "C"),
        ("Rome", {"text": ["Paris", "Rome"], "label": ["A", "C"]}, "C"),
        ("2", {"text": ["Paris", "Rome"], "label": ["1", "2"]}, "The answer is 2."),
        ("7", [5, 7, 9], "B"),
        (1, [5, 7, 9], "7"),
    ],
)
def test_expected_as_label_index_or_text(answer: Any, choices: Any, output: str) -> None:
    fields = {"answer": answer} if choices is None else {"answer": answer, "choices": choices}
    assert ChoiceScorer().score(output, Example(id="1", input="?", fields=fields)).value == 1.0


@pytest.mark.parametrize("answer", ["Madrid", 7, -1, True, None, ["A"], 1.5])
def test_an_expected_answer_that_is_no_choice_is_the_examples_fault(answer: Any) -> None:
    example = Example(id="1", input="?", fields={"answer": answer, "choices": ["Paris", "London"]})
    with pytest.raises(ScorerError, match="names none of the choices A, B"):
        ChoiceScorer().score("A", example)


def test_an_ambiguous_answer_scores_zero_and_says_so() -> None:
    score = ChoiceScorer().score("The answer is A or B.", Example(id="1", input="?", fields={"answer": "A"}))
    assert (score.value, score.feedback) == (0.0, "The output names several choices: A, B.")


def test_feedback_names_both_choices() -> None:
    score = ChoiceScorer().score("B", Example(id="1", input="?", fields={"answer": "A"}))
    assert (score.value, score.feedback) == (0.0, "The choice is A, but the output says B.")


def test_two_choices_that_read_the_same_are_told_apart_by_label_alone() -> None:
    assert reading("yes", {"A": "Yes", "B": "yes."}) is None
    assert reading("B", {"A": "Yes", "B": "yes."}) == "B"


@given(st.text(), st.dictionaries(st.text(min_size=1, max_size=3), st.text(max_size=5), min_size=1, max_size=5))
def test_any_text_has_a_reading(output: str, choices: dict[str, str]) -> None:
    found = read_choice(output, choices)
    assert found is None or isinstance(found, Ambiguous) or found in choices


@given(
    st.lists(
        st.sampled_from(["answer ", "is ", "A", "B", "(", ")", "or ", "\n", ".", "**", "not ", "so "]), max_size=40
    )
)
def test_any_mix_of_phrases_has_a_reading(parts: list[str]) -> None:
    found = read_choice("".join(parts), {"A": "x", "B": "y"})
    assert found in ("A", "B", None) or isinstance(found, Ambiguous)
