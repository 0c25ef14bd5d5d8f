"""Reading a list of ideas."""

import pytest

from coordinator.proposers.ideas import parse_ideas


@pytest.mark.parametrize(
    ("answer", "ideas"),
    [
        ("1. Ask once.\n2. Vote.", ("Ask once.", "Vote.")),
        ("Sure!\n\n1) Ask\n   once.\n\n2) Vote.\n\nGood luck!", ("Ask once.", "Vote.")),
        (
            "1. **Vote**: ask often.\n   - five times\n\n   and count.\n2. Check.",
            ("**Vote**: ask often. - five times and count.", "Check."),
        ),
        (" 1. One.\n 2. Two.", ("One.", "Two.")),
        ("Idea 1: One.\nIdea 2: Two.", ("One.", "Two.")),
        ("- One.\n- Two.", ("One.", "Two.")),
        ("1. One.\n2. Two.\n3. Three.\n4. Four.", ("One.", "Two.", "Three.")),
        ("1.\n2. Two.", ("Two.",)),
        ("I cannot think of any.", ()),
        ("", ()),
    ],
)
def test_lists(answer: str, ideas: tuple[str, ...]) -> None:
    assert parse_ideas(answer, 3) == ideas


def test_an_idea_is_not_endless() -> None:
    assert len(parse_ideas("1. " + "x" * 10_000, 1)[0]) == 2000
