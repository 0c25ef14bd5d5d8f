"""The rule by which scaffolds are ranked."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.selection import Standing, rank, with_iteration
from shared.models import SplitDetails

IDS = st.one_of(st.from_regex(r"[0-3](-[0-3]){0,2}", fullmatch=True), st.sampled_from(["baseline", "01", "1", "a.b"]))
STANDINGS = st.builds(
    Standing, iteration=st.integers(0, 3), mean=st.sampled_from([0.0, 0.25, 0.5, 1.0]), n=st.integers(1, 3)
)


def standing(mean: float, n: int = 10, iteration: int = 0) -> Standing:
    return Standing(iteration=iteration, mean=mean, n=n)


@pytest.mark.parametrize(
    ("history", "order"),
    [
        ({}, []),
        ({"0": standing(0.5), "1": standing(0.75)}, ["1", "0"]),
        ({"0": standing(0.5, n=9), "1": standing(0.5, n=10)}, ["1", "0"]),
        ({"0": standing(0.5, iteration=2), "1-0": standing(0.5, iteration=1)}, ["1-0", "0"]),
        ({"10": standing(0.5), "2": standing(0.5), "2-0": standing(0.5)}, ["2", "2-0", "10"]),
        ({"baseline": standing(0.5), "3": standing(0.5)}, ["3", "baseline"]),
        ({"0": standing(-1.0), "1": standing(-2.0)}, ["0", "1"]),
    ],
)
def test_the_rule(history: dict[str, Standing], order: list[str]) -> None:
    assert rank(history) == order


@given(st.dictionaries(IDS, STANDINGS), st.randoms(use_true_random=False))
def test_the_same_history_gives_the_same_choice(history: dict[str, Standing], shuffle: random.Random) -> None:
    items = list(history.items())
    shuffle.shuffle(items)
    assert rank(dict(items)) == rank(history)


@given(st.dictionaries(IDS, STANDINGS))
def test_everybody_is_ranked_once_and_nobody_above_a_better_mean(history: dict[str, Standing]) -> None:
    order = rank(history)
    assert sorted(order) == sorted(history)
    means = [history[id].mean for id in order]
    assert means == sorted(means, reverse=True)


@given(st.dictionaries(IDS, STANDINGS, min_size=2))
def test_who_is_left_out_changes_nothing_for_the_others(history: dict[str, Standing]) -> None:
    last = rank(history)[-1]
    assert rank({id: one for id, one in history.items() if id != last}) == rank(history)[:-1]


def part(mean: float | None, n: int) -> SplitDetails:
    return SplitDetails(n=n, mean=mean, examples=n, planned=4, missing=4 - n, complete=n == 4)


def test_the_latest_validation_counts_unless_nothing_was_scored() -> None:
    history = with_iteration({}, 0, [("0", part(0.5, 4)), ("1", part(None, 0))])
    assert history == {"0": standing(0.5, 4)}
    later = with_iteration(history, 3, [("0", part(0.25, 4)), ("1", part(1.0, 4))])
    assert later == {"0": standing(0.25, 4, 3), "1": standing(1.0, 4, 3)}
    assert with_iteration(history, 4, [("0", part(None, 0))]) == history


def test_an_incomplete_validation_is_second_to_a_complete_one() -> None:
    """Else a failure of our own machinery could choose a scaffold's examples."""
    history = with_iteration({}, 0, [("0", part(0.5, 4)), ("1", part(1.0, 1)), ("2", part(0.25, 4))])
    assert rank(history) == ["0", "2", "1"]
    again = with_iteration(history, 1, [("0", part(1.0, 2)), ("1", part(0.75, 4))])
    assert again["0"] == history["0"] and rank(again) == ["1", "0", "2"]
    assert with_iteration(history, 1, [("1", part(0.5, 2))])["1"].mean == 0.5
