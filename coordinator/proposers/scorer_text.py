"""The source of a scorer, for a scaffolder that may see it."""

import inspect
import sys

from shared.models.spec import ScorerSpec
from shared.scorers import SCORERS


def scorer_text(spec: ScorerSpec, module_source: str | None) -> str | None:
    """The module that holds the scorer; None where its text cannot be had.

    ``module_source``: the text of a user's own scorer where it lies beside the spec. A module is not imported for this,
    unless it is a registered plug-in.
    """
    if ":" in spec.name:
        return module_source
    scorer = SCORERS.get(spec.name)
    try:
        return inspect.getsource(sys.modules[scorer.__module__])
    except (OSError, TypeError, KeyError):
        return None
