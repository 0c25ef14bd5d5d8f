"""Who is best: one rule for parents, for the winner, and for what is shown first."""

from collections.abc import Iterable, Mapping

from shared.models import SplitDetails
from shared.models.base import Frozen
from shared.models.ids import scaffold_id_key


class Standing(Frozen):
    """A scaffold's latest validation: its mean over ``n`` runs, and the iteration it was made in."""

    iteration: int
    mean: float
    n: int
    complete: bool = True
    """Whether every planned run of it has a result."""


def rank(history: Mapping[str, Standing]) -> list[str]:
    """The scaffold ids of ``history``, the best first.

    The order is that of the mean of a scaffold's latest validation, the highest first. An incomplete validation comes
    after every complete one: else a failure of our own machinery could choose a scaffold's examples. Of equal means the
    one over more runs goes first, then the one validated in the earlier iteration, then the one whose id comes first:
    numbers in it count as numbers (``2`` before ``10``), and a parent comes before its children. The same history gives
    the same order, however it is put together.
    """

    def key(scaffold_id: str) -> tuple[object, ...]:
        one = history[scaffold_id]
        return not one.complete, -one.mean, -one.n, one.iteration, scaffold_id_key(scaffold_id), scaffold_id

    return sorted(history, key=key)


def with_iteration(
    history: Mapping[str, Standing], iteration: int, valid: Iterable[tuple[str, SplitDetails]]
) -> dict[str, Standing]:
    """``history`` with the validations of one more iteration.

    One that nothing was scored in changes nothing, nor does an incomplete one where there is a complete one already.
    """
    new = {
        scaffold_id: Standing(iteration=iteration, mean=part.mean, n=part.n, complete=part.complete)
        for scaffold_id, part in valid
        if part.mean is not None
    }
    kept = {id: one for id, one in new.items() if one.complete or id not in history or not history[id].complete}
    return {**history, **kept}
