"""One session at an experiment: connect to the workers, run the loop, say how it stands."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coordinator.aggregate import current_details
from coordinator.celery_queue import CeleryQueue
from coordinator.embedded import embedded_worker
from coordinator.generation import in_short
from coordinator.loop import Loop
from coordinator.proposing import proposing
from coordinator.report.base import Reporter, Summary
from coordinator.session_clock import budget_watch
from shared.budget import Budget
from shared.errors import BrokerUnavailable, Cancelled, OutOfBudget
from shared.file_manager import ExperimentFileManager
from shared.models import Details, Status
from shared.queue import check_broker, make_app, without_password

_CHILD = "the worker of this session"


def run_session(
    files: ExperimentFileManager, reporter: Reporter, *, broker_url: str | None, concurrency: int, wait: bool
) -> Summary:
    """Run an experiment from where it stands to its end, or to a Ctrl-C.

    Without a broker a worker with ``concurrency`` slots is started for the session. Without ``wait``, raises NoWorker
    when none listens for 10 s. Raises Unavailable (exit 3) where broker, worker or Docker are missing.
    """
    began = time.monotonic()
    files.uncancel()
    resumed = not files.begin()

    done: list[Summary] = []

    def finish(details: list[Details] | None = None, interrupted: bool = False, stopped: str | None = None) -> Summary:
        if not done:
            found = current_details(files) if details is None else details
            done.append(summarize(files, found, interrupted, stopped, time.monotonic() - began))
            reporter.finished(done[0])
        return done[0]

    budget = Budget.of(files, files.load_metadata().spec.budget)
    try:
        with (
            proposing(files, broker_url) as proposer,
            budget_watch(budget) as no_more,
            _workers(files, broker_url, concurrency, wait, resumed) as queue,
        ):
            # Told before the worker has stopped: nobody needs to wait for that.
            try:
                return finish(Loop(files, queue, reporter, proposer, no_more).run())
            except OutOfBudget as error:
                return finish(stopped=str(error))
    except Cancelled:
        return finish(interrupted=True)
    except KeyboardInterrupt:
        if broker_url is not None and not done:
            _stop_others(files, broker_url, reporter)
        return finish(interrupted=True)


def _stop_others(files: ExperimentFileManager, broker_url: str, reporter: Reporter) -> None:
    """The workers of others must not go on with what nobody waits for."""
    try:
        cancel(files, broker_url)
    except BrokerUnavailable as error:
        reporter.say(f"The workers could not be told to stop: {error}")


@contextmanager
def _workers(
    files: ExperimentFileManager, broker_url: str | None, concurrency: int, wait: bool, resumed: bool
) -> Iterator[CeleryQueue]:
    if broker_url is not None:
        where = without_password(broker_url)
        app = make_app(broker_url)
        check_broker(app, where)
        with CeleryQueue(app, where, wait=wait, resumed=resumed) as queue:
            yield queue
        return
    sandbox = files.load_metadata().spec.sandbox
    with (
        embedded_worker(Path(str(files)).parent, concurrency, sandbox) as worker,
        CeleryQueue(make_app(worker.broker_url), _CHILD, watch=worker.check) as queue,
    ):
        yield queue


def summarize(
    files: ExperimentFileManager, details: list[Details], interrupted: bool, stopped: str | None, seconds: float
) -> Summary:
    """How the experiment stands by the details of its iterations. ``stopped``: why it was ended early."""
    parts = [part for one in details for split in one.splits.values() for part in split.values()]
    quarantined = sum(map(files.quarantined_count, files.plan_iterations()))
    return Summary(
        directory=str(files),
        experiment=files.name,
        complete=stopped is None and not interrupted and all(part.complete for part in parts),
        quarantined=quarantined,
        scorer_errors=sum(part.statuses.get(Status.SCORER_ERROR, 0) for part in parts),
        interrupted=interrupted,
        seconds=seconds,
        details=tuple(details),
        stopped=stopped,
        skipped=_skipped(files),
    )


def _skipped(files: ExperimentFileManager) -> dict[str, str]:
    """The proposed scaffolds that were never evaluated, and why."""
    notes = {id: files.load_scaffold(id).metadata.notes for id in files.scaffold_ids()}
    return {id: in_short(str(one["skipped"])) for id, one in notes.items() if "skipped" in one}


def cancel(files: ExperimentFileManager, broker_url: str | None) -> int:
    """Stop an experiment everywhere: workers drop its jobs and kill those under way; how many were killed."""
    files.cancel()
    if broker_url is None:
        return 0
    app = make_app(broker_url)
    check_broker(app, without_password(broker_url))
    replies: Any = app.control.broadcast("scaffoldry_cancel", {"experiment": files.name}, reply=True, timeout=3.0)
    return sum(answer.get("stopped", 0) for reply in replies or [] for answer in reply.values())
