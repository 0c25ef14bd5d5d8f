"""What an iteration's runs come to."""

from pydantic import Field

from shared.models.base import Frozen
from shared.models.ids import Iteration, ScaffoldId
from shared.models.status import Status


class Estimate(Frozen):
    """A mean with its uncertainty. All None where nothing was scored; the interval needs two scores or more."""

    n: int = Field(ge=0)
    mean: float | None = None
    stderr: float | None = None
    ci95: tuple[float, float] | None = None


class SplitDetails(Estimate):
    """A scaffold's estimate on one split, and what became of its planned runs."""

    planned: int = Field(ge=0)
    missing: int = Field(ge=0)
    """Planned runs without a counted result: quarantined, cancelled or not yet run. The mean leaves them out."""
    complete: bool
    statuses: dict[Status, int] = Field(default_factory=dict)
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None


class Details(Frozen):
    """``details_<iteration>.json``: split -> scaffold id -> details. Holds nothing that depends on time or place."""

    schema_version: int = 1
    iteration: Iteration
    splits: dict[str, dict[ScaffoldId, SplitDetails]]
