"""An iteration's plan: which example each run type stands for, and which scaffolds are run on which split."""

from collections.abc import Iterator
from typing import Self

from pydantic import Field

from shared.models.base import Frozen
from shared.models.example import Example
from shared.models.ids import ExperimentName, Iteration, RunType, ScaffoldId, split_of
from shared.models.job import Job


class Plan(Frozen):
    """``runs`` maps each run type to its example; each scaffold of ``assigned[split]`` is run on all of that split's.

    A plan grows as its iteration goes on (the children are known when their parents have been trained), and is
    written each time before anything new of it is enqueued. ``train`` holds the iteration's parents, also where they
    are run on nothing. The trials of proposed scaffolds (``preflight_<attempt>``) stand in ``runs`` alone.
    """

    schema_version: int = 2
    experiment: ExperimentName
    iteration: Iteration
    runs: dict[RunType, Example] = Field(default_factory=dict)
    assigned: dict[str, tuple[ScaffoldId, ...]] = Field(default_factory=dict)

    @property
    def scaffolds(self) -> tuple[str, ...]:
        """All scaffolds that the plan runs on anything, each once."""
        return tuple(dict.fromkeys(id for ids in self.assigned.values() for id in ids))

    def run_types(self, split: str) -> list[str]:
        """The run types of a split, in order."""
        return [run_type for run_type in self.runs if split_of(run_type) == split]

    def planned(self, scaffold_id: str) -> set[str]:
        """The run types that a scaffold is run on."""
        splits = {split for split, ids in self.assigned.items() if scaffold_id in ids}
        return {run_type for run_type in self.runs if split_of(run_type) in splits}

    def only(self, split: str) -> Self:
        """The part of the plan that is about one split."""
        runs = {run_type: example for run_type, example in self.runs.items() if split_of(run_type) == split}
        return self.model_copy(update={"runs": runs, "assigned": {split: self.assigned.get(split, ())}})

    def assign(self, split: str, scaffold_ids: tuple[str, ...]) -> Self:
        """The plan with more scaffolds on a split; those that are on it already are not doubled."""
        together = tuple(dict.fromkeys((*self.assigned.get(split, ()), *scaffold_ids)))
        return self.model_copy(update={"assigned": {**self.assigned, split: together}})

    def jobs(self) -> Iterator[Job]:
        """The iteration's jobs: example by example across the scaffolds, so that all means grow together."""
        for run_type in self.runs:
            for scaffold_id in self.assigned.get(split_of(run_type), ()):
                yield Job(
                    experiment=self.experiment, iteration=self.iteration, scaffold_id=scaffold_id, run_type=run_type
                )

    def __len__(self) -> int:
        return sum(len(ids) * len(self.run_types(split)) for split, ids in self.assigned.items())
