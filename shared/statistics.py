"""Means with their uncertainty: of a list of scores, or grown score by score in flat memory."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from shared.models.scores import Estimate

Z95 = 1.959963984540054
"""The standard normal distribution's 0.975 quantile."""


def estimate(scores: Sequence[float]) -> Estimate:
    """The mean of finite ``scores``, its standard error and its 95% interval.

    The standard error is the sample's standard deviation (n - 1 in the denominator) over the root of n. The interval
    is Wilson's where every score is 0 or 1, and Student's t otherwise; both need two scores or more. The same scores
    give the same bits in whatever order they come.
    """
    n = len(scores)
    if not n:
        return Estimate(n=0)
    exponent = _exponent(scores)
    scaled = [math.ldexp(score, -exponent) for score in scores]
    mean = math.fsum(scaled) / n
    squares = math.fsum((score - mean) ** 2 for score in scaled)
    return _estimate(n, mean, squares, exponent, _binary(scores))


def clustered(scores_by_example: Mapping[str, Sequence[float]]) -> Estimate:
    """The mean over all runs of all examples, with its uncertainty over examples: runs of one example are no new facts.

    With n runs of G examples, the standard error is the root of ``G / (G - 1) * sum(residual**2) / n**2``, where an
    example's residual is the sum of its runs' distances from the mean: the cluster-robust variance of K.-Y. Liang and
    S. L. Zeger, "Longitudinal Data Analysis Using Generalized Linear Models", Biometrika 73 (1986), for a mean, as E.
    Miller, "Adding Error Bars to Evals" (2024, arXiv 2411.00640) uses it, with the usual correction for few clusters.
    The interval is Student's t with G - 1 degrees, within 0..1 for 0/1 scores. Where 0/1 scores give it no width, it is
    Wilson's, as if each example had been run once. Examples that were all run once are what :func:`estimate` takes.
    It needs two examples or more.
    """
    groups = [scores for scores in scores_by_example.values() if scores]
    runs = [score for scores in groups for score in scores]
    if len(runs) == len(groups):
        return estimate(runs)
    exponent = _exponent(runs)
    mean = math.fsum(math.ldexp(score, -exponent) for score in runs) / len(runs)
    residuals = [math.fsum(math.ldexp(score, -exponent) - mean for score in scores) for scores in groups]
    if len(groups) < 2:
        return Estimate(n=len(runs), mean=math.ldexp(mean, exponent))
    stderr = math.sqrt(len(groups) / (len(groups) - 1) * math.fsum(one**2 for one in residuals)) / len(runs)
    found = _student(len(runs), mean, stderr, exponent, len(groups) - 1)
    if found.ci95 is None or not _binary(runs):
        return found
    low, high = found.ci95
    true_mean = math.ldexp(mean, exponent)
    ci95 = (max(low, 0.0), min(high, 1.0)) if low < high else wilson(true_mean * len(groups), len(groups))
    return found.model_copy(update={"ci95": ci95})


@dataclass(frozen=True)
class Moments:
    """What an estimate needs to know of the scores so far: four numbers, however many scores there are.

    ``squares`` is the sum of squared distances from the mean, kept by the recurrence of B. P. Welford, "Note on a
    Method for Calculating Corrected Sums of Squares and Products", Technometrics 4 (1962): a sum of plain squares
    would lose its digits where scores are large and close together.
    """

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    binary: bool = True
    """Whether every score so far is 0 or 1."""

    def add(self, score: float) -> Self:
        """These moments with one more score."""
        n = self.n + 1
        mean = self.mean + (score / n - self.mean / n)
        squares = self.squares + (score - self.mean) * (score - mean)
        return type(self)(n, mean, squares, self.binary and score in (0.0, 1.0))

    def estimate(self) -> Estimate:
        """The estimate of the scores so far: that of :func:`estimate`, up to rounding.

        Its interval takes every score for an example of its own: it is too narrow where examples are repeated.
        """
        return _estimate(self.n, self.mean, self.squares, 0, self.binary) if self.n else Estimate(n=0)


def wilson(successes: float, n: int) -> tuple[float, float]:
    """The 95% interval of a proportion.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927), without
    continuity correction. Never leaves 0..1, and stays honest at 0 of n and n of n, where the normal one has no width.
    """
    share = successes / n
    middle = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2)) / (1 + Z95**2 / n)
    low = 0.0 if share == 0 else max(0.0, middle - half)
    high = 1.0 if share == 1 else min(1.0, middle + half)
    return low, high


@lru_cache(maxsize=4096)
def student_t95(degrees: int) -> float:
    """The 0.975 quantile of Student's t distribution ("The Probable Error of a Mean", Biometrika 6, 1908)."""
    from scipy.special import stdtrit  # slow to import, and 0/1 scores do without

    return float(stdtrit(degrees, 0.975))


def _estimate(n: int, mean: float, squares: float, exponent: int, binary: bool) -> Estimate:
    true_mean = math.ldexp(mean, exponent)
    if n < 2:
        return Estimate(n=n, mean=true_mean)
    stderr = math.sqrt(max(squares, 0.0) / (n - 1) / n)
    if binary:
        successes = round(true_mean * n)
        return Estimate(n=n, mean=true_mean, stderr=math.ldexp(stderr, exponent), ci95=wilson(successes, n))
    return _student(n, mean, stderr, exponent, n - 1)


def _student(n: int, mean: float, stderr: float, exponent: int, degrees: int) -> Estimate:
    """Student's interval; ``mean`` and ``stderr`` are to be multiplied by two to the ``exponent``."""
    true_mean = math.ldexp(mean, exponent)
    half = student_t95(degrees) * stderr
    try:
        scaled = [math.ldexp(value, exponent) for value in (stderr, mean - half, mean + half)]
    except OverflowError:
        scaled = [math.inf]
    if not all(map(math.isfinite, scaled)):  # scores near the largest float: their mean is one, its bounds are not
        return Estimate(n=n, mean=true_mean)
    return Estimate(n=n, mean=true_mean, stderr=scaled[0], ci95=(scaled[1], scaled[2]))


def _exponent(scores: Sequence[float]) -> int:
    # A power of two loses no digits, and keeps the squares of very large or very small scores representable.
    return math.frexp(max(abs(score) for score in scores))[1]


def _binary(scores: Iterable[float]) -> bool:
    return all(score in (0.0, 1.0) for score in scores)
