"""What the commands that only look read of an experiment. Nothing here writes."""

from coordinator.report.overview import Facts
from coordinator.report.words import folder_name
from shared.errors import UsageError
from shared.file_manager import ExperimentFileManager
from shared.models import Plan
from shared.models.ids import PREFLIGHT, check_run_type, check_scaffold_id, split_of
from shared.registry import nearest


def scaffold_names(files: ExperimentFileManager) -> dict[str, str]:
    """The name of the folder each scaffold was given as; empty for generated ones."""
    ids = files.scaffold_ids()
    return {scaffold_id: folder_name(files.load_scaffold(scaffold_id).metadata.source) for scaffold_id in ids}


def scaffold_facts(files: ExperimentFileManager) -> dict[str, Facts]:
    """What is known of every scaffold beside its scores."""
    iterations = files.plan_iterations()
    found = {}
    for scaffold_id in files.scaffold_ids():
        metadata = files.load_scaffold(scaffold_id).metadata
        skipped = metadata.notes.get("skipped")
        given_up = (files.quarantined_run_types(iteration, scaffold_id) for iteration in iterations)
        found[scaffold_id] = Facts(
            name=folder_name(metadata.source),
            parent=metadata.parent_scaffold_id,
            iteration=metadata.iteration,
            model=metadata.model,
            skipped=None if skipped is None else str(skipped),
            given_up=sum(split_of(run_type) != PREFLIGHT for run_types in given_up for run_type in run_types),
        )
    return found


def check_scaffold(files: ExperimentFileManager, scaffold_id: str) -> str:
    """``scaffold_id`` if the experiment has that scaffold; else raises UsageError, which says what there is."""
    known = files.scaffold_ids()
    if check_scaffold_id(scaffold_id) not in known:
        raise UsageError(f"{files} has no scaffold {scaffold_id!r}{nearest(scaffold_id, known)}")
    return scaffold_id


def latest_plan(
    files: ExperimentFileManager, scaffold_id: str, iteration: int | None, run_type: str | None = None
) -> Plan | None:
    """The plan of ``iteration``, else the last that has the scaffold (on ``run_type``, if any has); None without one.

    A proposed scaffold is tried out by the plan of the iteration it comes from. Raises UsageError where ``iteration``
    has no plan or its plan has not that scaffold.
    """
    iterations = files.plan_iterations()
    born = files.load_scaffold(scaffold_id).metadata.iteration
    if iteration is not None and iterations:
        if iteration not in iterations:
            raise UsageError(f"{files} has no iteration {iteration}. It has: {', '.join(map(str, iterations))}.")
        plan = files.load_plan(iteration)
        if scaffold_id not in plan.scaffolds and iteration != born:
            raise UsageError(f"Scaffold {scaffold_id} is not part of iteration {iteration} of {files}.")
        return plan
    its_own = []
    for plan in (files.load_plan(number) for number in reversed(iterations)):
        run_types = planned_run_types(plan, scaffold_id, born)
        if run_type in run_types:
            return plan
        its_own += [plan] if run_types or plan.iteration == born else []
    return its_own[0] if its_own else None


def planned_run_types(plan: Plan, scaffold_id: str, born: int) -> set[str]:
    """What a scaffold that comes from iteration ``born`` is run on by a plan, its trials included."""
    return plan.planned(scaffold_id) | (set(plan.run_types(PREFLIGHT)) if plan.iteration == born else set())


def check_planned(plan: Plan, run_type: str) -> str:
    """``run_type`` if the plan has it; else raises UsageError, which says what the plan has."""
    if check_run_type(run_type) not in plan.runs:
        named = [run_type for run_type in plan.runs][:3]
        raise UsageError(
            f"{run_type} is not part of iteration {plan.iteration}, which has {len(plan.runs):,} examples: "
            f"{', '.join(named)}{', ...' if len(plan.runs) > len(named) else ''}"
        )
    return run_type
