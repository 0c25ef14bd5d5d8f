"""Scoring stored outputs again, without running anything but the scorer."""

import os
from pathlib import Path

from shared.errors import CorruptFile
from shared.file_manager import ExperimentFileManager
from shared.models import Example, RunOutcome, RunResult, Status
from shared.models.base import Frozen
from shared.models.ids import PREFLIGHT, split_of
from shared.scorers.base import Scorer
from shared.settings import get_settings, override_settings
from worker.execution import experiment_scorer
from worker.scoring import score_outcome


class Rescored(Frozen):
    """How many results were looked at, and how many now have another score or status."""

    results: int
    changed: int
    scorer_errors: int


def rescore(directory: Path) -> Rescored:
    """Score the committed results of an experiment again and put the new scores in their place.

    Only runs that ended ``ok`` or ``scorer_error`` are scored; what the program did otherwise stands. Raises
    NotAnExperiment, CorruptFile, SpecError, InfraError.
    """
    files = ExperimentFileManager.open(directory)
    settings, data_dir = get_settings(), directory.absolute().parent
    host_data_dir = settings.host_data_dir if data_dir == settings.data_dir.absolute() else None
    settings = override_settings(data_dir=data_dir, host_data_dir=host_data_dir)
    scorer = experiment_scorer(files, f"{settings.worker_name}.score.{os.getpid()}")
    seen = changed = errors = 0
    for iteration in files.plan_iterations():
        plan = files.load_plan(iteration)
        for scaffold_id in plan.scaffolds:
            for result in files.results(iteration, scaffold_id):
                if split_of(result.run_type) == PREFLIGHT:
                    continue  # a trial with a mock model: it has no score
                if result.run_type not in plan.runs:
                    raise CorruptFile(
                        f"{files} holds a result of {result.job}, which is no part of that iteration's plan; "
                        "remove the result, or restore the plan from a copy."
                    )
                seen += 1
                new = scored_again(result, scorer, plan.runs[result.run_type])
                errors += new.status is Status.SCORER_ERROR
                if new != result:
                    files.replace_result(new)
                    changed += 1
    return Rescored(results=seen, changed=changed, scorer_errors=errors)


def scored_again(result: RunResult, scorer: Scorer, example: Example) -> RunResult:
    """``result`` with the verdict that ``scorer`` gives of its stored output today."""
    if result.status not in (Status.OK, Status.SCORER_ERROR):
        return result
    scored = score_outcome(scorer, RunOutcome(status=Status.OK, output=result.output), example)
    verdict = {
        "status": scored.status,
        "score": scored.score,
        "feedback": scored.feedback,
        "error_message": scored.error_message,
    }
    return result.model_copy(update=verdict)
