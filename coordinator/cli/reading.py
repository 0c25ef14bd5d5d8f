"""What the commands that only look read of an experiment. Nothing here writes."""

from coordinator.aggregate import iteration_details
from coordinator.report.words import folder_name
from shared.errors import UsageError
from shared.file_manager import ExperimentFileManager
from shared.models import Details, Plan
from shared.models.ids import check_run_type, check_scaffold_id
from shared.registry import nearest


def scaffold_names(files: ExperimentFileManager) -> dict[str, str]:
    """The name of the folder each scaffold was given as; empty for generated ones."""
    ids = files.scaffold_ids()
    return {scaffold_id: folder_name(files.load_scaffold(scaffold_id).metadata.source) for scaffold_id in ids}


def current_details(files: ExperimentFileManager, iteration: int) -> Details:
    """An iteration's details by what is committed now, also while it is going on."""
    plan = files.load_plan(iteration)
    return iteration_details(plan, ((id, files.results(iteration, id)) for id in plan.scaffolds))


def check_scaffold(files: ExperimentFileManager, scaffold_id: str) -> str:
    """``scaffold_id`` if the experiment has that scaffold; else raises UsageError, which says what there is."""
    known = files.scaffold_ids()
    if check_scaffold_id(scaffold_id) not in known:
        raise UsageError(f"{files} has no scaffold {scaffold_id!r}{nearest(scaffold_id, known)}")
    return scaffold_id


def latest_plan(files: ExperimentFileManager, scaffold_id: str, iteration: int | None) -> Plan | None:
    """The plan of ``iteration``, else the last that has the scaffold; None where there is none.

    Raises UsageError where ``iteration`` has no plan or its plan has not that scaffold.
    """
    iterations = files.plan_iterations()
    if iteration is not None and iterations:
        if iteration not in iterations:
            raise UsageError(f"{files} has no iteration {iteration}. It has: {', '.join(map(str, iterations))}.")
        plan = files.load_plan(iteration)
        if scaffold_id not in plan.scaffolds:
            raise UsageError(f"Scaffold {scaffold_id} is not part of iteration {iteration} of {files}.")
        return plan
    plans = (files.load_plan(number) for number in reversed(iterations))
    return next((plan for plan in plans if scaffold_id in plan.scaffolds), None)


def check_planned(plan: Plan, run_type: str) -> str:
    """``run_type`` if the plan has it; else raises UsageError, which says what the plan has."""
    if check_run_type(run_type) not in plan.runs:
        named = [run_type for run_type in plan.runs][:3]
        raise UsageError(
            f"{run_type} is not part of iteration {plan.iteration}, which has {len(plan.runs):,} examples: "
            f"{', '.join(named)}{', ...' if len(plan.runs) > len(named) else ''}"
        )
    return run_type
