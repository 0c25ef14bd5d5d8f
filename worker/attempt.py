"""One try at a job: what is run, how, and under whose name."""

from pydantic import Field

from shared.job_key import repeat_seed
from shared.model_names import MOCK_MODEL
from shared.models import ExperimentSpec, Job, Labels, ModelSpec
from shared.models.base import Frozen
from shared.models.ids import PREFLIGHT, split_of
from shared.models.spec import BudgetSpec, ExecutorSpec

TRIAL_TIMEOUT = 30.0
"""Seconds that a proposed scaffold's trial may take; its mock model answers at once."""


class Attempt(Frozen):
    """One try at a job: what is run, how, and under whose name."""

    job: Job
    number: int = Field(default=1, ge=1)
    worker: str
    executor: ExecutorSpec
    models: dict[str, ModelSpec] = Field(default_factory=dict)
    seed: int = 0
    budget: BudgetSpec = BudgetSpec()

    @property
    def labels(self) -> Labels:
        """The labels of everything this attempt starts."""
        return Labels(experiment=self.job.experiment, job=self.job.task_id, attempt=self.number, worker=self.worker)


def attempt_at(job: Job, number: int, worker: str, spec: ExperimentSpec, repeat: int) -> Attempt:
    """The try as the spec has it; a trial asks a mock model, which costs nothing and answers at once."""
    attempt = Attempt(
        job=job,
        number=number,
        worker=worker,
        executor=spec.executor,
        models=spec.models,
        seed=repeat_seed(spec.loop.seeds["model"], repeat),
        budget=spec.budget,
    )
    if split_of(job.run_type) != PREFLIGHT:
        return attempt
    limits = {"model": MOCK_MODEL, "timeout": min(spec.executor.timeout, TRIAL_TIMEOUT)}
    return attempt.model_copy(update={"executor": spec.executor.model_copy(update=limits), "budget": BudgetSpec()})
