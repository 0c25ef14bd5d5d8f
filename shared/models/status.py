"""The one word that says how a run ended."""

from enum import StrEnum


class Status(StrEnum):
    """How a run ended. All but ``infra_error`` are the program's doing and count in the mean."""

    OK = "ok"
    SCAFFOLD_ERROR = "scaffold_error"
    TIMEOUT = "timeout"
    OOM = "oom"
    OUTPUT_LIMIT = "output_limit"
    INVALID_OUTPUT = "invalid_output"
    BUDGET_EXCEEDED = "budget_exceeded"
    SCORER_ERROR = "scorer_error"
    INFRA_ERROR = "infra_error"

    @property
    def counts(self) -> bool:
        """Whether a run that ended so belongs in a mean: never when our own machinery failed."""
        return self is not Status.INFRA_ERROR
