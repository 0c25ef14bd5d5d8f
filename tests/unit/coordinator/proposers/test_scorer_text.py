"""The source of a scorer."""

from coordinator.proposers import scorer_text
from shared.models import ScorerSpec


def test_a_builtin_scorer() -> None:
    assert "class NumericScorer" in (scorer_text(ScorerSpec(name="numeric"), None) or "")


def test_a_users_own() -> None:
    assert scorer_text(ScorerSpec(name="mine:grade"), "def grade(): ...") == "def grade(): ..."
    assert scorer_text(ScorerSpec(name="mine:grade"), None) is None
