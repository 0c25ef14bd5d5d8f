"""An iteration's plan: which example each run type stands for."""

from collections.abc import Iterator

from pydantic import Field

from shared.models.base import Frozen
from shared.models.example import Example
from shared.models.ids import ExperimentName, Iteration, RunType, ScaffoldId
from shared.models.job import Job


class Plan(Frozen):
    """``runs`` maps each run type to its example; every scaffold of ``scaffolds`` is run on all of them."""

    schema_version: int = 1
    experiment: ExperimentName
    iteration: Iteration
    scaffolds: tuple[ScaffoldId, ...]
    runs: dict[RunType, Example] = Field(default_factory=dict)

    def jobs(self) -> Iterator[Job]:
        """The iteration's jobs: example by example across the scaffolds, so that all means grow together."""
        for run_type in self.runs:
            for scaffold_id in self.scaffolds:
                yield Job(
                    experiment=self.experiment, iteration=self.iteration, scaffold_id=scaffold_id, run_type=run_type
                )

    def __len__(self) -> int:
        return len(self.scaffolds) * len(self.runs)
