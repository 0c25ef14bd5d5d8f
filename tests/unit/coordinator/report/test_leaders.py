"""What is said of leaders, to the letter."""

import pytest

from coordinator.report.leaders import leaders_table, outcome, probability, verdict
from coordinator.report.overview import Facts, ordered, overview_table, shown_split, status_words
from coordinator.report.proposal import proposal_lines
from coordinator.report.words import listed, signed
from shared.models import Details, Leader, SplitDetails, Winner


def leader(scaffold_id: str, **fields: object) -> Leader:
    return Leader.model_validate(
        {"scaffold_id": scaffold_id, "iteration": 0, "n": 9, "mean": 0.5, "examples": 9, **fields}
    )


def part(mean: float | None, n: int = 4) -> SplitDetails:
    return SplitDetails(n=n, mean=mean, examples=n, planned=4, missing=4 - n, complete=n == 4)


WINNER = leader("2", p_best=0.6)
NEAR = leader("1", difference=-0.1, ci95=(-0.2, 0.0))
FAR = leader("0", difference=-0.3, ci95=(-0.4, -0.1), separable=True)
FEW = leader("3", difference=-0.5, examples=2)


def details(*leaders: Leader, **winner: object) -> list[Details]:
    best = {"scaffold_id": "2", "iteration": 0, "valid_mean": 0.5, **winner}
    return [Details(iteration=0, splits={}, leaders=leaders, winner=Winner.model_validate(best))]


def test_verdicts() -> None:
    assert [verdict(one, WINNER) for one in (WINNER, NEAR, FAR, FEW)] == [
        "the winner",
        "not separable from the winner",
        "separable from the winner",
        "2 shared examples: too few to tell",
    ]


def test_the_outcome_in_sentences() -> None:
    best = "The winner is scaffold 2: validation mean 0.500; the best of the leaders with probability 0.60."
    assert outcome(details(WINNER, NEAR, leader("5", difference=0.0, ci95=(0.0, 0.0)), FAR)) == [
        best,
        "Scaffolds 1, 5 are not separable from the winner.",
    ]
    assert outcome(details(WINNER, FAR)) == [best, "It is separable from every other leader."]
    assert outcome(details(WINNER, FEW, FEW)) == [
        best,
        "Scaffolds 3, 3 have too few examples in common with the winner to be told from it.",
    ]
    assert outcome(details(WINNER)) == outcome([]) == []
    assert outcome([Details(iteration=0, splits={})]) == []


def test_the_test_score_beside_the_validation_score() -> None:
    assert outcome(details(WINNER, test_mean=0.75, gap=-0.25)) == [
        "On the test split scaffold 2 has 0.750, on validation 0.500: a gap of -0.250."
    ]


def test_one_scaffold_needs_no_table_of_leaders() -> None:
    assert leaders_table(details(WINNER), {}) == leaders_table([], {}) == ""
    assert "| 0 | vote | 9 |" in leaders_table(details(WINNER, FAR), {"0": "vote"}, markdown=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0.00"), (0.001, "<0.01"), (0.5, "0.50"), (0.9999, ">0.99"), (1.0, "1.00")],
)
def test_probability(value: float | None, text: str) -> None:
    assert probability(value) == text


def test_signed_and_listed() -> None:
    assert [signed(value) for value in (0.125, -0.125, 0.0, None)] == ["+0.125", "-0.125", "0.000", "-"]
    assert listed(["0", "1"]) == "0, 1"
    assert listed([str(number) for number in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"


def test_status_words() -> None:
    assert status_words(Facts(), part(0.5)) == "evaluated"
    assert status_words(Facts(given_up=2), part(0.5, 2)) == "evaluated, 2 given up"
    assert status_words(Facts(given_up=4), part(None, 0)) == "given up"
    assert status_words(Facts(), part(None, 0)) == status_words(Facts(), None) == "no score yet"
    assert status_words(Facts(skipped="x\nNameError: y"), None) == "skipped: NameError: y"
    assert status_words(Facts(skipped=""), None) == "skipped"


def test_scaffolds_are_judged_by_validation_where_there_is_any() -> None:
    train = Details(iteration=0, splits={"train": {"0": part(0.5), "1": part(0.75)}})
    assert shown_split([train]) == "train" and shown_split([]) == "valid"
    assert ordered([train], ["0", "1", "10", "2"]) == ["1", "0", "2", "10"]
    assert overview_table([train], {}).splitlines()[0].split()[:3] == ["scaffold", "n", "mean"]
    both = [train, Details(iteration=1, splits={"valid": {"0": part(0.25)}})]
    assert shown_split(both) == "valid"
    assert overview_table(both, {}).splitlines()[0].split() == [
        *("scaffold", "n", "valid", "mean", "95%", "interval", "train", "mean", "failures")
    ]
    assert overview_table([], {}).startswith("scaffold")


def test_the_latest_score_is_shown() -> None:
    history = [
        Details(iteration=number, splits={"valid": {"0": part(mean)}}) for number, mean in enumerate((0.5, 0.25))
    ]
    nothing = Details(iteration=2, splits={"valid": {"0": part(None, 0)}})
    assert "0.250" in overview_table([*history, nothing], {}).splitlines()[2]


def test_a_given_scaffold_was_not_proposed() -> None:
    assert proposal_lines({}, []) == []


def test_proposals_of_any_shape() -> None:
    attempts = [{"model": None, "usage": {}, "problem": None}, {"problem": "no\x1b[31m code"}]
    assert proposal_lines({"proposer": "mutate", "attempts": attempts, "skipped": "why"}, []) == [
        "  proposed by: mutate, 2 attempts",
        "    attempt 0: not tried out",
        "    attempt 1: no\\x1b[31m code",
        "  skipped: why",
    ]
    assert proposal_lines({"proposer": "library"}, []) == ["  proposed by: library"]
