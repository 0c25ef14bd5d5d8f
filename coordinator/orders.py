"""What a generation asks of its proposer: one order for each scaffold that is to be written."""

from collections.abc import Mapping

from coordinator.proposers.base import Order, Parent, TrainRun
from shared.file_manager import ExperimentFileManager
from shared.models import ExperimentSpec, Job, Plan, RunResult, ScaffoldMetadata

__all__ = ["Order", "child_orders", "first_orders", "train_runs"]

_LONGEST_LOG = 20_000
"""Characters of a run's log that a proposer sees."""


def first_orders(spec: ExperimentSpec) -> list[Order]:
    """Orders for the scaffolds of the first generation that the spec does not give."""
    given = len(spec.scaffolds)
    count = spec.first_generation - given
    return [
        Order(
            kind="first",
            scaffold_id=str(given + index),
            number=index,
            index=index,
            count=count,
            seed=spec.loop.seeds["proposing"],
        )
        for index in range(count)
    ]


def child_orders(
    files: ExperimentFileManager, plan: Plan, parents: Mapping[str, float], children: int, seed: int
) -> list[Order]:
    """Orders for ``children`` children of each parent, with what the parents did in this iteration's training.

    ``parents`` maps their ids to their validation means. Ids and numbers count on from the scaffolds that exist. Those
    of this very iteration that an interrupted session proposed for the same parents do not count: they are the ones
    that are ordered.
    """
    known = {id: files.load_scaffold_metadata(id) for id in files.scaffold_ids()}
    before = {
        id: metadata
        for id, metadata in known.items()
        if metadata.iteration < plan.iteration
        or (metadata.iteration == plan.iteration and metadata.parent_scaffold_id not in parents)
    }
    first = sum(1 for metadata in before.values() if _is_proposed(metadata))
    wanted: list[Order] = []
    for parent_id, mean in parents.items():
        siblings = sum(1 for metadata in before.values() if metadata.parent_scaffold_id == parent_id)
        parent = _parent(files, plan, parent_id, mean)
        for index in range(children):
            wanted.append(
                Order(
                    kind="child",
                    scaffold_id=f"{parent_id}-{siblings + index}",
                    number=first + len(wanted),
                    index=index,
                    count=children,
                    parent=parent,
                    seed=seed,
                )
            )
    return wanted


def _is_proposed(metadata: ScaffoldMetadata) -> bool:
    return "attempts" in metadata.notes


def _parent(files: ExperimentFileManager, plan: Plan, scaffold_id: str, valid_mean: float) -> Parent:
    return Parent(
        scaffold_id=scaffold_id,
        scaffold=files.load_scaffold(scaffold_id),
        valid_mean=valid_mean,
        runs=train_runs(files, plan, scaffold_id),
    )


def train_runs(files: ExperimentFileManager, plan: Plan, scaffold_id: str) -> tuple[TrainRun, ...]:
    """What a scaffold did with the iteration's training examples."""
    jobs = (
        Job(experiment=files.name, iteration=plan.iteration, scaffold_id=scaffold_id, run_type=run_type)
        for run_type in plan.run_types("train")
    )
    found = ((job, files.load_result(job)) for job in jobs)
    return tuple(_train_run(files, plan, job, result) for job, result in found if result is not None)


def _train_run(files: ExperimentFileManager, plan: Plan, job: Job, result: RunResult) -> TrainRun:
    log = _log(files, job)
    half = _LONGEST_LOG // 2
    return TrainRun(
        example=plan.runs[job.run_type],
        status=result.status,
        output=result.output,
        score=result.score,
        feedback=result.feedback,
        error_message=result.error_message,
        log=log if len(log) <= _LONGEST_LOG else f"{log[:half]}\n[...]\n{log[-half:]}",
    )


def _log(files: ExperimentFileManager, job: Job) -> str:
    try:
        return files.read_log(job.iteration, job.scaffold_id, job.run_type)[0]
    except FileNotFoundError:
        return ""  # somebody has tidied up; the result is what counts
