"""An experiment from its plan to its scores. Reads like the way through the house."""

from collections.abc import Iterator

from coordinator.aggregate import aggregate
from coordinator.dispatch import Dispatch, JobQueue
from coordinator.experiment import plan_for
from coordinator.report.base import Reporter
from shared.file_manager import ExperimentFileManager
from shared.models import Details, Job, Plan

RECEIPT_GRACE = 60.0
"""Seconds beyond a run's deadline after which its receipt is taken for lost."""


def run_loop(files: ExperimentFileManager, queue: JobQueue, reporter: Reporter) -> list[Details]:
    """Bring every iteration to its scoring files. What is committed already is not run again."""
    spec = files.load_metadata().spec
    details = []
    for iteration in range(spec.loop.iterations):
        plan = plan_for(files, iteration)
        evaluate(files, plan, queue, reporter, spec.executor.timeout)
        details.append(aggregate(files, iteration))
        # Selecting parents and proposing their children for the next iteration comes here.
    return details


def evaluate(files: ExperimentFileManager, plan: Plan, queue: JobQueue, reporter: Reporter, timeout: float) -> None:
    """Run the plan's jobs that have no committed result; ``timeout`` is a run's own, in seconds."""
    reporter.iteration_started(plan)
    for scaffold_id in plan.scaffolds:
        for result in files.results(plan.iteration, scaffold_id):
            reporter.run_restored(result)
    dispatch = Dispatch(
        files=files,
        plan=plan,
        queue=queue,
        reporter=reporter,
        stall_after=2 * timeout + RECEIPT_GRACE,
        on_complaint=reporter.say,
    )
    dispatch.run(uncommitted(files, plan))


def uncommitted(files: ExperimentFileManager, plan: Plan) -> Iterator[Job]:
    """The plan's jobs without a committed result, in the plan's order."""
    committed = {id: set(files.committed_run_types(plan.iteration, id)) for id in plan.scaffolds}
    return (job for job in plan.jobs() if job.run_type not in committed[job.scaffold_id])
