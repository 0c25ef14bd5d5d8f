"""The one Celery task: decode a job, run it, answer with a receipt."""

import traceback
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

from celery.exceptions import Ignore
from celery.signals import worker_process_shutdown
from pydantic import Field, ValidationError

from shared.error_words import describe
from shared.errors import HostTrouble, NotAnExperiment, OutOfBudget, ScaffoldryError, Superseded, UsageError
from shared.file_manager import ExperimentFileManager
from shared.leases import Leases, leases_of
from shared.log import log
from shared.models import Job, Receipt, Status
from shared.models.base import Frozen
from shared.models.result import without_paths
from shared.queue import RUN_JOB, app
from shared.settings import get_settings
from worker.cancelled import cancelled_sessions
from worker.execution import run_job, settle_sandboxes
from worker.pausing import after_failure


class Message(Frozen):
    """What a message must hold. Its ids become parts of paths, so nothing is looked at before they are valid."""

    job: Job
    attempt: int = Field(ge=1, le=1_000_000)
    session: int = Field(ge=1, le=1_000_000)


@worker_process_shutdown.connect
def _settle(**_: object) -> None:
    """A child that ends leaves no container that it was about to remove."""
    settle_sandboxes()


@app.task(name=RUN_JOB, shared=False)
def run_job_task(job: dict[str, Any], attempt: int, session: int) -> dict[str, Any]:
    """Run one attempt of a job. Whatever our own machinery does wrong comes back as an ``infra_error`` receipt.

    A message that is delivered again while its run is under way is dropped without a receipt.
    """
    settings = get_settings()
    try:
        message = Message(job=Job.model_validate(job), attempt=attempt, session=session)
    except ValidationError as error:
        receipt = _refusal(error, settings.worker_name)
    else:
        with _leased(message, settings.worker_name) as ours:  # first of all: the volume may make us wait
            if not ours:
                raise Ignore("another worker is at work on this attempt")  # and if it dies, that is noticed
            receipt = _run(message, settings.worker_name)
            if receipt.is_failure:
                trouble = after_failure() is not None
                receipt = receipt.model_copy(update={"host_trouble": receipt.host_trouble or trouble})
    # Without what is at its default: Celery stores the answer, announces it, and writes it out for Flower.
    return receipt.model_copy(update={"slots": settings.concurrency}).model_dump(mode="json", exclude_defaults=True)


def _refusal(error: ValidationError, worker: str) -> Receipt:
    problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())[:500]
    log.warning("refused a message that is no job", action="message_refused", error=problems)
    return Receipt(status=Status.INFRA_ERROR, worker=worker, error_message=f"The message is no job: {problems}")


def _run(message: Message, worker: str) -> Receipt:
    job, attempt = message.job, message.attempt
    try:
        files = _found(job.experiment)
        if (job.experiment, message.session) in cancelled_sessions or files.is_cancelled(message.session):
            why = "The experiment was cancelled."
            return Receipt(status=Status.INFRA_ERROR, worker=worker, cancelled=True, error_message=why)
        return Receipt.of(run_job(files, job, attempt, worker, message.session))
    except Superseded as error:
        return Receipt(
            status=Status.INFRA_ERROR, worker=worker, attempt=attempt, superseded=True, error_message=str(error)
        )
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
            host_trouble=isinstance(error, HostTrouble),
            error_message=without_paths(describe(error)[0])[:500],
        )
    except Exception as error:
        # A bug of ours must not be counted against the scaffold, nor be lost.
        log.error("job crashed", action="job_crashed", traceback=traceback.format_exc(), **job.model_dump())
        why = without_paths(f"{type(error).__name__}: {error}")[:500]
        return Receipt(status=Status.INFRA_ERROR, worker=worker, attempt=attempt, error_message=why)


def _leased(message: Message, worker: str) -> AbstractContextManager[bool]:
    """Let the coordinator know that somebody is at work on the attempt; False where somebody else is already."""
    leases = _leases()
    task_id = message.job.attempt_id(message.attempt, message.session)
    return leases.held(task_id, worker) if leases else nullcontext(True)


def _found(name: str) -> ExperimentFileManager:
    """The experiment. Where it is not here, its coordinator has it all the same: this volume is a copy of that one."""
    try:
        return _experiment(name)
    except NotAnExperiment as error:
        raise HostTrouble(str(error)) from None


@lru_cache
def _leases() -> Leases | None:
    return leases_of(app)


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
