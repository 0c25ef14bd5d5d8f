"""Estimates against hand-computed cases, scipy.stats and plain formulas."""

import math
import random
import statistics
import subprocess
import sys
from collections.abc import Iterable
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from shared.models import Estimate
from shared.statistics import Moments, estimate, student_t95, wilson

SCORES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60)
BITS = st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=60)


def grown_by(scores: Iterable[float]) -> Moments:
    """The moments after one score at a time."""
    return reduce(Moments.add, scores, Moments())


def test_nothing_scored_says_nothing() -> None:
    assert estimate([]) == Moments().estimate() == Estimate(n=0)


@pytest.mark.parametrize("score", [0.0, 1.0, 0.25, -3.5])
def test_one_score_has_a_mean_and_no_interval(score: float) -> None:
    assert estimate([score]) == Moments().add(score).estimate() == Estimate(n=1, mean=score)


def test_wilson_by_hand() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (successes, n), expected in published.items():
        assert wilson(successes, n) == pytest.approx(expected, abs=5e-5)
    assert wilson(20, 20)[1] == 1.0


def test_student_by_hand() -> None:
    # 2, 4, 6: mean 4, standard deviation 2, t(2) = 4.30265.
    found = estimate([2.0, 4.0, 6.0])
    assert found.mean == 4.0
    assert found.stderr == pytest.approx(2 / math.sqrt(3))
    assert found.ci95 == pytest.approx((4 - 4.30265 * 2 / math.sqrt(3), 4 + 4.30265 * 2 / math.sqrt(3)), abs=1e-4)


def test_quantiles_are_those_of_scipy_stats() -> None:
    for degrees in (1, 2, 7, 49, 1318):
        assert student_t95(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-12)


@given(BITS)
def test_zeros_and_ones_get_wilsons_interval(scores: list[float]) -> None:
    found = estimate(scores)
    expected = stats.binomtest(int(sum(scores)), len(scores)).proportion_ci(0.95, method="wilson")
    assert found.ci95 == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.mean is not None and found.ci95 is not None
    assert 0 <= found.ci95[0] <= found.mean <= found.ci95[1] <= 1


@given(SCORES)
def test_other_scores_get_students_interval(scores: list[float]) -> None:
    scores = [*scores, 0.5]
    found = estimate(scores)
    mean, stderr = statistics.fmean(scores), statistics.stdev(scores) / math.sqrt(len(scores))
    half = stats.t.ppf(0.975, len(scores) - 1) * stderr
    assert found.mean == pytest.approx(mean, abs=1e-6)
    assert found.stderr == pytest.approx(stderr, rel=1e-9, abs=1e-9)
    assert found.ci95 == pytest.approx((mean - half, mean + half), rel=1e-6, abs=1e-6)


@given(SCORES, st.randoms(use_true_random=False))
def test_order_does_not_change_a_bit(scores: list[float], shuffle: random.Random) -> None:
    shuffled = scores.copy()
    shuffle.shuffle(shuffled)
    assert estimate(shuffled) == estimate(scores)


@given(SCORES)
def test_moments_agree_with_the_whole_list(scores: list[float]) -> None:
    grown, whole = grown_by(scores).estimate(), estimate(scores)
    assert grown.n == whole.n
    assert grown.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-6)
    assert grown.stderr == pytest.approx(whole.stderr, rel=1e-6, abs=1e-6)


def test_moments_keep_the_digits_of_large_close_scores() -> None:
    scores = [1e9 + offset for offset in (4.0, 7.0, 13.0, 16.0)]
    assert grown_by(scores).estimate().stderr == pytest.approx(math.sqrt(30) / 2, rel=1e-9)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_any_finite_scores_give_finite_numbers(scores: list[float]) -> None:
    for found in (estimate(scores), grown_by(scores).estimate()):
        numbers = [found.mean, found.stderr, *(found.ci95 or ())]
        assert all(math.isfinite(number) for number in numbers if number is not None)


def test_scipy_is_imported_only_when_needed() -> None:
    code = "import sys; from shared.statistics import estimate; estimate([0, 1, 1]); print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
