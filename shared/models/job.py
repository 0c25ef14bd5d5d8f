"""A job: one scaffold on one example. Ids only, so that it can travel and be logged anywhere."""

from shared.models.base import Frozen
from shared.models.ids import ExperimentName, Iteration, RunType, ScaffoldId


class Job(Frozen):
    """``(experiment, iteration, scaffold_id, run_type)``; may be tried several times, and counts once."""

    experiment: ExperimentName
    iteration: Iteration
    scaffold_id: ScaffoldId
    run_type: RunType

    @property
    def task_id(self) -> str:
        """The deterministic Celery task id: ``gsm8k_20260101-120000.it000.2-0.valid_12``."""
        return f"{self.experiment}.it{self.iteration:03d}.{self.scaffold_id}.{self.run_type}"

    def attempt_id(self, attempt: int, session: int = 1) -> str:
        """The task id of that attempt in that session; the first of both has the job's own."""
        numbers = {"session": session, "attempt": attempt}
        return ".".join([self.task_id, *(f"{name}{number}" for name, number in numbers.items() if number > 1)])

    def __str__(self) -> str:
        return f"scaffold {self.scaffold_id} on {self.run_type} (iteration {self.iteration} of {self.experiment})"
