"""Paired differences against hand-computed cases, scipy.stats, and the truth they are to hold."""

import math
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from shared.comparison import FEWEST, RESAMPLES, Comparison, compare

SCORES = st.dictionaries(
    st.sampled_from("abcdefghij"), st.lists(st.floats(-10, 10), max_size=3), min_size=1, max_size=10
)
FEW = settings(max_examples=15)


def by_example(scores: list[float]) -> dict[str, list[float]]:
    return {f"e{number}": [score] for number, score in enumerate(scores)}


def pair(first: list[float], second: list[float]) -> Comparison:
    """The second beside the first."""
    return compare({"first": by_example(first), "second": by_example(second)}, reference="first")["second"]


def test_by_hand() -> None:
    found = pair([1.0, 1.0, 1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    assert (found.examples, found.difference) == (6, -0.5)
    assert found.ci95 is not None and found.ci95[0] <= -0.5 <= found.ci95[1]


def test_differences_of_0_and_1_by_the_binomial_distribution() -> None:
    # 10 of 25 examples speak for the second: resampled, that is Binomial(25, 0.4) / 25, less 0.01758 on either side.
    found = pair([0.0] * 25, [1.0] * 10 + [0.0] * 15)
    level = stats.norm.cdf(-math.sqrt(25 / 24) * 2.063899)
    assert level == pytest.approx(0.01758, abs=1e-5)
    assert found.ci95 == pytest.approx(tuple(stats.binom(25, 0.4).ppf([level, 1 - level]) / 25)) == (0.2, 0.6)
    assert pair([0.0] * 6, [1.0] + [0.0] * 5).p_best == pytest.approx(1 - (5 / 6) ** 6 / 2, abs=0.02)


def test_missing_runs_leave_a_scaffold_with_its_own_examples() -> None:
    # Of the 27 ways to draw 3 examples, 17 favour the first; where only z is drawn the second has no score at all.
    scores = {"a": {"x": [0.0], "y": [1.0], "z": [1.0]}, "b": {"x": [1.0], "y": [0.0]}}
    assert compare(scores, reference="a")["a"].p_best == pytest.approx(17 / 27, abs=0.02)


def test_with_equal_differences_there_is_nothing_to_resample() -> None:
    found = pair([0.25] * 8, [0.75] * 8)
    assert (found.difference, found.ci95, found.p_best, found.separable) == (0.5, (0.5, 0.5), 1.0, True)


def test_the_distribution_of_two_examples_by_hand() -> None:
    # The second leads where the example that speaks for it is drawn twice (1/4), and shares the lead at 1:1 (1/2).
    found = pair([1.0, 0.0], [0.0, 1.0])
    assert found.p_best == pytest.approx(0.5, abs=0.02)
    three = compare({"a": by_example([1, 0]), "b": by_example([0, 1]), "c": by_example([0, 0])}, reference="a")
    assert three["c"].p_best == 0


def test_repeats_are_averaged_first() -> None:
    scores = {"a": {"x": [1.0, 0.0], "y": [1.0]}, "b": {"x": [0.0], "y": [1.0, 1.0, 0.0, 0.0]}}
    assert compare(scores, reference="a")["b"].difference == -0.5


def test_only_shared_examples_are_compared() -> None:
    scores = {"a": {"x": [1.0], "y": [0.0], "gone": []}, "b": {"y": [1.0], "z": [0.0]}, "c": {"q": [1.0]}}
    found = compare(scores, reference="a")
    assert (found["b"].examples, found["b"].difference) == (1, 1.0)
    assert found["c"] == Comparison(examples=0, p_best=found["c"].p_best)
    assert math.fsum(one.p_best or 0 for one in found.values()) == pytest.approx(1)


@pytest.mark.parametrize("count", [1, FEWEST - 1, FEWEST])
def test_few_examples_get_no_interval(count: int) -> None:
    found = pair([0.0] * count, [1.0] * count)
    assert (found.ci95 is None) == (count < FEWEST)
    assert found.separable == (count >= FEWEST)
    # The sign test's two-sided p where all speak for one side.
    assert (stats.binomtest(count, count).pvalue < 0.05) == (count >= FEWEST)


def test_not_separable_is_said_exactly_where_the_interval_holds_0() -> None:
    for ci95, separable in (((-0.2, 0.0), False), ((0.0, 0.0), False), ((-0.1, 0.2), False), ((0.01, 0.2), True)):
        assert Comparison(examples=9, difference=0.1, ci95=ci95).separable is separable
    assert not Comparison(examples=9).separable


def test_nobody_scored_or_nobody_else() -> None:
    assert compare({"a": {}, "b": {"x": []}}, reference="a")["b"] == Comparison(examples=0)
    assert compare({"a": by_example([0, 1])}, reference="a") == {"a": Comparison(examples=2, p_best=1.0)}


@pytest.mark.parametrize("count", [12, 40, 150])
def test_the_interval_is_scipys_percentile_interval_at_expanded_levels(count: int) -> None:
    source = np.random.default_rng(count)
    first, second = source.normal(0.5, 0.3, count), source.normal(0.6, 0.3, count)
    found = pair(first.tolist(), second.tolist())
    level = 1 - 2 * stats.norm.cdf(-math.sqrt(count / (count - 1)) * stats.t.ppf(0.975, count - 1))
    expected = stats.bootstrap(
        (second - first,), np.mean, confidence_level=level, n_resamples=RESAMPLES, method="percentile", rng=source
    )
    spread = expected.standard_error
    assert found.ci95 == pytest.approx(tuple(expected.confidence_interval), abs=0.15 * spread)
    t = stats.ttest_rel(second, first).confidence_interval()
    assert found.ci95 == pytest.approx((t.low, t.high), abs=0.3 * spread)


def test_separable_agrees_with_the_paired_t_test_where_that_is_sure() -> None:
    source = np.random.default_rng(5)
    base = source.normal(0.5, 0.3, 60)
    for shift in (0.0, 0.3):
        second = base + shift + source.normal(0, 0.1, 60)
        assert pair(base.tolist(), second.tolist()).separable == (stats.ttest_rel(second, base).pvalue < 0.05)


def test_pairs_are_kept_together() -> None:
    base = np.random.default_rng(6).normal(0, 100, 40)
    found = pair(base.tolist(), (base + 0.1).tolist())
    assert found.separable and found.ci95 == pytest.approx((0.1, 0.1), abs=1e-6)


@FEW
@given(st.dictionaries(st.sampled_from("pqrs"), SCORES, min_size=2), st.randoms(use_true_random=False))
def test_order_does_not_change_a_bit(scores: dict[str, dict[str, list[float]]], shuffle: random.Random) -> None:
    reference = min(scores)
    items = [
        (id, dict(shuffle.sample([(one, shuffle.sample(runs, len(runs))) for one, runs in own.items()], len(own))))
        for id, own in scores.items()
    ]
    shuffle.shuffle(items)
    assert compare(dict(items), reference) == compare(scores, reference)


@FEW
@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=FEWEST, max_size=20))
def test_the_other_way_round_the_difference_changes_its_sign(pairs: list[tuple[float, float]]) -> None:
    first, second = [one for one, _ in pairs], [other for _, other in pairs]
    there, back = pair(first, second), pair(second, first)
    assert there.difference == -back.difference
    assert there.ci95 is not None and back.ci95 is not None
    assert there.ci95 == (-back.ci95[1], -back.ci95[0])
    assert there.separable == back.separable
    assert there.p_best + back.p_best == pytest.approx(1)


@FEW
@given(
    st.dictionaries(
        st.sampled_from("pqr"),
        st.lists(
            st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=3),
            min_size=FEWEST,
            max_size=8,
        ),
        min_size=2,
    )
)
@example({"p": [[sys.float_info.max] * 3] * FEWEST, "q": [[-sys.float_info.max] * 3] * FEWEST})
@example({"p": [[5e-324]] * FEWEST, "q": [[0.0]] * FEWEST})
def test_any_finite_scores_give_finite_numbers(runs: dict[str, list[list[float]]]) -> None:
    scores = {id: {str(number): own for number, own in enumerate(lists)} for id, lists in runs.items()}
    for one in compare(scores, reference=min(scores)).values():
        numbers = [one.difference, *(one.ci95 or ()), one.p_best]
        assert all(math.isfinite(number) for number in numbers if number is not None)


def test_who_leads_by_far_is_best_and_equals_share() -> None:
    source = np.random.default_rng(7)
    good = (source.random(80) < 0.9).astype(float).tolist()
    bad = (source.random(80) < 0.2).astype(float).tolist()
    found = compare({"a": by_example(good), "b": by_example(good), "c": by_example(bad)}, reference="a")
    assert [found[id].p_best for id in "abc"] == [0.5, 0.5, 0.0]
    assert (found["b"].ci95, found["b"].separable) == ((0.0, 0.0), False)
    assert found["c"].separable


@pytest.mark.parametrize("repeats", [1, 3])
def test_the_interval_of_a_difference_holds_it_in_95_of_100_cases(repeats: int) -> None:
    """Pairs of scaffolds of mean 0.6 and 0.5 on 60 examples whose difficulty they share, each example run ``repeats``
    times. A pair's interval depends on its differences alone, so that many pairs fit into one comparison with 0.
    """
    source = np.random.default_rng(8)
    held, rounds, pairs = 0, 4, 200
    for _ in range(rounds):
        ease = source.uniform(0.1, 0.9, (pairs, 60))
        first = source.binomial(repeats, np.clip(ease + 0.1, 0, 1)) / repeats
        differences = (source.binomial(repeats, ease) / repeats - first).tolist()
        scores = {str(number): by_example(own) for number, own in enumerate(differences)}
        found = compare({**scores, "zero": by_example([0.0] * 60)}, reference="zero")
        intervals = [found[id].ci95 for id in scores]
        held += sum(ci95 is not None and ci95[0] <= -0.1 <= ci95[1] for ci95 in intervals)
    assert 0.93 <= held / (rounds * pairs) <= 0.97


def test_the_numbers_of_a_comparison_are_fixed_for_ever() -> None:
    scores = {
        name: by_example([float(number % step == 0) for number in range(30)]) for name, step in (("a", 2), ("b", 3))
    }
    assert compare(scores, reference="a")["b"].model_dump() == {
        "examples": 30,
        "difference": -1 / 6,
        "ci95": (-13 / 30, 0.1),
        "p_best": 0.09045,
    }


def test_numpy_is_imported_only_when_needed() -> None:
    code = (
        "import sys; from shared.comparison import compare; compare({'a': {'x': [1.0]}}, 'a'); "
        "print([name for name in ('numpy', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
