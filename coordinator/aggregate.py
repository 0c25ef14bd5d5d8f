"""From committed results to an iteration's scoring files: a pure function of what lies on the volume."""

from collections import Counter
from collections.abc import Iterable

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


def iteration_details(plan: Plan, results: Iterable[tuple[str, Iterable[RunResult]]]) -> Details:
    """What the results of each scaffold come to. ``results`` pairs a scaffold id with its results, in order."""
    planned = Counter(split_of(run_type) for run_type in plan.runs)
    splits: dict[str, dict[str, SplitDetails]] = {split: {} for split in planned}
    for scaffold_id, found in results:
        by_split: dict[str, list[RunResult]] = {split: [] for split in planned}
        for result in found:
            if result.run_type in plan.runs:
                by_split[split_of(result.run_type)].append(_without_text(result))
        for split, part in by_split.items():
            splits[split][scaffold_id] = split_details(part, planned[split])
    return Details(iteration=plan.iteration, splits=splits)


def split_details(results: list[RunResult], planned: int) -> SplitDetails:
    """One scaffold on one split. Runs that our own machinery failed are missing, never zeros."""
    counted = [result for result in results if result.status.counts and result.score is not None]
    usage = sum((result.usage for result in counted), Usage())
    statuses = Counter(result.status for result in results)
    return SplitDetails(
        **estimate([result.score for result in counted if result.score is not None]).model_dump(),
        planned=planned,
        missing=planned - len(counted),
        complete=len(counted) == planned,
        statuses={status: statuses[status] for status in Status if statuses[status]},
        calls=usage.calls,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        usd=usage.usd,
    )


def _means(details: Details, split: str) -> dict[str, float]:
    parts = details.splits.get(split, {})
    return {scaffold_id: part.mean for scaffold_id, part in parts.items() if part.mean is not None}


def _without_text(result: RunResult) -> RunResult:
    # A scaffold's results are held together until they are summed; their outputs may be large.
    return result.model_copy(update={"output": None, "feedback": None, "error_message": None})
