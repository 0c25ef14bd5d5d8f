"""The one Celery task: decode a job, run it, answer with a receipt."""

import traceback
from functools import lru_cache
from typing import Any

import structlog
from celery.signals import worker_process_shutdown
from pydantic import Field, ValidationError

from shared.error_words import describe
from shared.errors import OutOfBudget, ScaffoldryError, UsageError
from shared.file_manager import ExperimentFileManager
from shared.models import Job, Receipt, Status
from shared.models.base import Frozen
from shared.models.result import without_paths
from shared.queue import RUN_JOB, app
from shared.settings import get_settings
from worker.execution import run_job, settle_sandboxes

log = structlog.get_logger()


class Message(Frozen):
    """What a message must hold. Its ids become parts of paths, so nothing is looked at before they are valid."""

    job: Job
    attempt: int = Field(ge=1, le=1_000_000)


@worker_process_shutdown.connect
def _settle(**_: object) -> None:
    """A child that ends leaves no container that it was about to remove."""
    settle_sandboxes()


@app.task(name=RUN_JOB, shared=False)
def run_job_task(job: dict[str, Any], attempt: int) -> dict[str, Any]:
    """Run one attempt of a job. Whatever our own machinery does wrong comes back as an ``infra_error`` receipt."""
    settings = get_settings()
    try:
        message = Message(job=Job.model_validate(job), attempt=attempt)
    except ValidationError as error:
        receipt = _refusal(error, settings.worker_name)
    else:
        receipt = _run(message.job, message.attempt, settings.worker_name)
    return receipt.model_copy(update={"slots": settings.concurrency}).model_dump(mode="json")


def _refusal(error: ValidationError, worker: str) -> Receipt:
    problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())[:500]
    log.warning("refused a message that is no job", action="message_refused", error=problems)
    return Receipt(status=Status.INFRA_ERROR, worker=worker, error_message=f"The message is no job: {problems}")


def _run(job: Job, attempt: int, worker: str) -> Receipt:
    try:
        files = _experiment(job.experiment)
        if files.is_cancelled():
            message = "The experiment was cancelled."
            return Receipt(status=Status.INFRA_ERROR, worker=worker, cancelled=True, error_message=message)
        return Receipt.of(run_job(files, job, attempt, worker))
    except OutOfBudget as error:
        return Receipt(
            status=Status.INFRA_ERROR, worker=worker, attempt=attempt, out_of_budget=True, error_message=str(error)
        )
    except (ScaffoldryError, OSError) as error:
        log.warning("job failed", action="job_failed", error=str(error), **job.model_dump())
        return Receipt(
            status=Status.INFRA_ERROR,
            worker=worker,
            attempt=attempt,
            error_message=without_paths(describe(error)[0])[:500],
        )
    except Exception as error:
        # A bug of ours must not be counted against the scaffold, nor be lost.
        log.error("job crashed", action="job_crashed", traceback=traceback.format_exc(), **job.model_dump())
        message = without_paths(f"{type(error).__name__}: {error}")[:500]
        return Receipt(status=Status.INFRA_ERROR, worker=worker, attempt=attempt, error_message=message)


@lru_cache(maxsize=16)
def _experiment(name: str) -> ExperimentFileManager:
    settings = get_settings()
    files = ExperimentFileManager.locate(settings.data_dir, name)
    wanted = files.load_metadata().spec.sandbox
    if wanted != settings.sandbox:
        # Whoever sends jobs must not be able to choose less isolation than whoever runs the worker.
        raise UsageError(
            f"The experiment runs in the sandbox {wanted!r}, and this worker in {settings.sandbox!r} alone: start a "
            f"worker with --sandbox {wanted}."
        )
    return files
