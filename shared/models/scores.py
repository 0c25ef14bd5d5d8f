"""What an iteration's runs come to."""

from pydantic import Field

from shared.models.base import Frozen
from shared.models.ids import Iteration, ScaffoldId
from shared.models.status import Status


class Estimate(Frozen):
    """A mean with its uncertainty. All None where nothing was scored; the interval needs two examples or more.

    ``n`` counts runs. Where examples are run several times, ``stderr`` and ``ci95`` are clustered by example.
    """

    n: int = Field(ge=0)
    mean: float | None = None
    stderr: float | None = None
    ci95: tuple[float, float] | None = None


class SplitDetails(Estimate):
    """A scaffold's estimate on one split, and what became of its planned runs."""

    examples: int = Field(ge=0)
    """Examples with at least one counted run."""
    planned: int = Field(ge=0)
    missing: int = Field(ge=0)
    """Planned runs without a counted result: quarantined, cancelled or not yet run. The mean leaves them out."""
    complete: bool
    statuses: dict[Status, int] = Field(default_factory=dict)
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None


class Leader(Frozen):
    """One of the best scaffolds so far, beside the winner."""

    scaffold_id: ScaffoldId
    iteration: Iteration
    """That of its latest validation."""
    n: int
    """Runs of that validation that count."""
    mean: float
    complete: bool = True
    """Whether every planned run of that validation has a result."""
    difference: float | None = None
    """Its mean less the winner's over the ``examples`` they share, each example counting once; None for the winner."""
    ci95: tuple[float, float] | None = None
    """Of the difference; None for the winner, and where too few examples are shared to tell."""
    p_best: float | None = None
    """The probability, by bootstrap, that it is the best of the leaders; ties are shared out."""
    separable: bool = False
    """Whether the interval leaves 0 out: it is then another than the winner, as far as 95% go."""
    examples: int = Field(ge=0)


class Winner(Frozen):
    """The best scaffold so far, and what became of it on examples that it was not chosen by."""

    scaffold_id: ScaffoldId
    iteration: Iteration
    """That of its latest validation."""
    valid_mean: float
    test_mean: float | None = None
    """None where it has not been run on the test split in this iteration."""
    gap: float | None = None
    """``valid_mean - test_mean``: what was too good about the score it was chosen by."""


class Details(Frozen):
    """``details_<iteration>.json``: split -> scaffold id -> details, and the leaders of all iterations up to this one.

    Holds nothing that depends on time or place.
    """

    schema_version: int = 2
    iteration: Iteration
    splits: dict[str, dict[ScaffoldId, SplitDetails]]
    leaders: tuple[Leader, ...] = ()
    """The best ten at most by latest validation mean, the winner first."""
    winner: Winner | None = None
    """None where nothing was validated."""
