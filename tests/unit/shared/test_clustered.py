"""Clustered estimates against hand-computed cases, a plain formula, and the truth they are to hold."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from shared.models import Estimate
from shared.statistics import clustered, estimate, wilson

SCORE = st.floats(-1e6, 1e6)
GROUPS = st.dictionaries(st.text(max_size=3), st.lists(SCORE, min_size=1, max_size=4), min_size=2, max_size=12)


def test_by_hand() -> None:
    # Runs 0 2, 4 4, 5 9: mean 4; residuals -6, 0, 6; 3/2 * 72 / 36 = 3; t(2) = 4.30265.
    found = clustered({"a": [0.0, 2.0], "b": [4.0, 4.0], "c": [5.0, 9.0]})
    assert (found.n, found.mean) == (6, 4.0)
    assert found.stderr == pytest.approx(math.sqrt(3))
    assert found.ci95 == pytest.approx((4 - 4.30265 * math.sqrt(3), 4 + 4.30265 * math.sqrt(3)), abs=1e-4)


def test_examples_of_unequal_weight_by_hand() -> None:
    # Runs 1 1 1, 0: mean 3/4; residuals 3/4, -3/4; 2/1 * 9/8 / 16 = 9/64.
    found = clustered({"a": [1.0, 1.0, 1.0], "b": [0.0], "c": []})
    assert (found.n, found.mean) == (4, 0.75)
    assert found.stderr == pytest.approx(3 / 8)
    assert found.ci95 == (0.0, 1.0), "an interval of 0/1 scores does not leave 0..1"


def test_runs_that_only_repeat_their_example_add_nothing() -> None:
    once = {str(number): [score] for number, score in enumerate([0.2, 0.4, 0.9, 0.3])}
    thrice = {example: scores * 3 for example, scores in once.items()}
    one, three = clustered(once), clustered(thrice)
    assert three.n == 3 * one.n
    assert three.stderr == pytest.approx(one.stderr)
    assert three.ci95 == pytest.approx(one.ci95)


@given(GROUPS)
def test_the_formula(groups: dict[str, list[float]]) -> None:
    groups["again"] = [0.5, 0.25]
    runs = [score for scores in groups.values() for score in scores]
    mean, count = np.mean(runs), len(groups)
    squares = sum(np.sum(np.array(scores) - mean) ** 2 for scores in groups.values())
    stderr = math.sqrt(count / (count - 1) * squares) / len(runs)
    half = stats.t.ppf(0.975, count - 1) * stderr
    found = clustered(groups)
    assert found.mean == pytest.approx(mean, rel=1e-9, abs=1e-6)
    assert found.stderr == pytest.approx(stderr, rel=1e-6, abs=1e-6)
    assert found.ci95 == pytest.approx((mean - half, mean + half), rel=1e-6, abs=1e-5)


@given(st.lists(st.one_of(SCORE, st.sampled_from([0.0, 1.0])), max_size=20))
def test_examples_run_once_get_the_plain_estimate(scores: list[float]) -> None:
    assert clustered({str(number): [score] for number, score in enumerate(scores)}) == estimate(scores)


@given(GROUPS, st.randoms(use_true_random=False))
def test_order_does_not_change_a_bit(groups: dict[str, list[float]], shuffle: random.Random) -> None:
    items = [(example, shuffle.sample(scores, len(scores))) for example, scores in groups.items()]
    shuffle.shuffle(items)
    assert clustered(dict(items)) == clustered(groups)


@given(st.dictionaries(st.text(max_size=2), st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3)))
def test_any_finite_scores_give_finite_numbers(groups: dict[str, list[float]]) -> None:
    found = clustered(groups)
    numbers = [found.mean, found.stderr, *(found.ci95 or ())]
    assert all(math.isfinite(number) for number in numbers if number is not None)


def test_one_example_says_nothing_of_others() -> None:
    assert clustered({"a": [0.0, 1.0, 1.0, 1.0]}) == Estimate(n=4, mean=0.75)
    assert clustered({}) == clustered({"a": []}) == Estimate(n=0)


@pytest.mark.parametrize("run", [[1.0, 1.0, 1.0], [0.0, 0.0], [0.0, 1.0]])
def test_an_interval_without_width_is_not_believed(run: list[float]) -> None:
    found = clustered({str(number): run for number in range(10)})
    assert found.stderr == 0
    assert found.ci95 == wilson(10 * sum(run) / len(run), 10)


def coverage(draw, estimator, truth: float, times: int = 4000) -> float:
    """The share of intervals that hold the truth."""
    held = 0
    for _ in range(times):
        found = estimator(draw())
        held += found.ci95 is not None and found.ci95[0] <= truth <= found.ci95[1]
    return held / times


def test_the_interval_of_a_mean_holds_it_in_95_of_100_cases() -> None:
    source = np.random.default_rng(1)
    bits = coverage(lambda: (source.random(60) < 0.7).astype(float).tolist(), estimate, 0.7)
    normal = coverage(lambda: source.normal(0.4, 0.2, 25).tolist(), estimate, 0.4)
    assert 0.93 <= bits <= 0.97
    assert 0.93 <= normal <= 0.97


def test_the_clustered_interval_holds_the_mean_in_95_of_100_cases_and_a_plain_one_would_not() -> None:
    source = np.random.default_rng(2)

    def draw() -> dict[str, list[float]]:
        """40 examples of very different difficulty, 5 runs each; the truth is 3/5."""
        difficulty = source.beta(0.9, 0.6, 40)
        runs = (source.random((40, 5)) < difficulty[:, None]).astype(float)
        return {str(number): row for number, row in enumerate(runs.tolist())}

    def plain(groups: dict[str, list[float]]) -> Estimate:
        return estimate([score for scores in groups.values() for score in scores])

    assert 0.93 <= coverage(draw, clustered, 0.6, 2000) <= 0.97
    assert coverage(draw, plain, 0.6, 500) < 0.85
