"""From committed results to an iteration's scoring files: a pure function of what lies on the volume."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.file_manager import ExperimentFileManager
from shared.models import Details, Plan, RunResult, SplitDetails, Status, Usage
from shared.models.ids import split_of
from shared.statistics import estimate


def aggregate(files: ExperimentFileManager, iteration: int) -> Details:
    """Write ``scores_<iteration>.json`` and ``details_<iteration>.json`` from the committed results."""
    plan = files.load_plan(iteration)
    details = iteration_details(plan, ((id, files.results(iteration, id)) for id in plan.scaffolds))
    scores = {split: _means(details, split) for split in ("train", "valid")}
    files.save_scores(iteration, scores["train"], scores["valid"])
    files.save_details(details)
    return details


def aggregate_all(files: ExperimentFileManager) -> list[Details]:
    """The scoring files of every planned iteration, made anew from what is committed."""
    return [aggregate(files, iteration) for iteration in files.plan_iterations()]


def iteration_details(plan: Plan, results: Iterable[tuple[str, Iterable[RunResult]]]) -> Details:
    """What the results of each scaffold come to. ``results`` pairs a scaffold id with its results, in order."""
    planned = Counter(split_of(run_type) for run_type in plan.runs)
    splits: dict[str, dict[str, SplitDetails]] = {split: {} for split in planned}
    for scaffold_id, found in results:
        sums = {split: _Sums() for split in planned}
        for result in found:
            if result.run_type in plan.runs:
                sums[split_of(result.run_type)].add(result)
        for split, part in sums.items():
            splits[split][scaffold_id] = part.details(planned[split])
    return Details(iteration=plan.iteration, splits=splits)


@dataclass
class _Sums:
    """What is kept of one scaffold's results on one split: there may be very many of them, with large outputs."""

    scores: list[float] = field(default_factory=list)
    statuses: Counter[Status] = field(default_factory=Counter)
    usage: Usage = field(default_factory=Usage)

    def add(self, result: RunResult) -> None:
        self.statuses[result.status] += 1
        if result.status.counts and result.score is not None:
            self.scores.append(result.score)
            self.usage += result.usage

    def details(self, planned: int) -> SplitDetails:
        """Runs that our own machinery failed are missing, never zeros."""
        counted, usage = len(self.scores), self.usage
        return SplitDetails(
            **estimate(self.scores).model_dump(),
            planned=planned,
            missing=planned - counted,
            complete=counted == planned,
            statuses={status: self.statuses[status] for status in Status if self.statuses[status]},
            calls=usage.calls,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            usd=usage.usd,
        )


def _means(details: Details, split: str) -> dict[str, float]:
    parts = details.splits.get(split, {})
    return {scaffold_id: part.mean for scaffold_id, part in parts.items() if part.mean is not None}
