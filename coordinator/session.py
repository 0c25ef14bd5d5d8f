"""One session at an experiment: connect to the workers, run the loop, say how it stands."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
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
from coordinator.workers import Workers
from shared.budget import Budget
from shared.error_words import describe
from shared.errors import BrokerUnavailable, Cancelled, CorruptFile, OutOfBudget
from shared.file_manager import ExperimentFileManager
from shared.models import Details, Status
from shared.queue import check_broker, in_sentences, job_queue, make_app, without_password

_CHILD = "the worker of this session"
CANCEL_SECONDS = 2.0
"""How often a session looks whether it was cancelled."""


def run_session(
    files: ExperimentFileManager,
    reporter: Reporter,
    *,
    data_dir: Path,
    broker_url: str | None,
    concurrency: int,
    wait: bool,
) -> Summary:
    """Run an experiment, which lies in ``data_dir``, from where it stands to its end, or to a Ctrl-C.

    Without a broker a worker with ``concurrency`` slots is started for the session. Without ``wait``, raises NoWorker
    when none listens for 10 s. Raises Unavailable (exit 3) where broker, worker or Docker are missing.
    """
    began = time.monotonic()
    session = files.begin()
    with _housekeeping(reporter):
        files.sweep(session)

    done: list[Summary] = []

    def finish(details: list[Details] | None = None, interrupted: bool = False, stopped: str | None = None) -> Summary:
        if not done:
            if not interrupted:  # who pressed Ctrl-C is not kept waiting; the next session sweeps as it begins
                with _housekeeping(reporter):
                    files.sweep_again(session)
            found = current_details(files) if details is None else details
            done.append(summarize(files, found, interrupted, stopped, time.monotonic() - began))
            reporter.finished(done[0])
        return done[0]

    budget = Budget.of(files, files.load_metadata().spec.budget)
    try:
        with (
            proposing(files, data_dir, broker_url) as proposer,
            budget_watch(budget) as no_more,
            _workers(files, reporter, session, data_dir, broker_url, concurrency, wait) as queue,
        ):
            # Told before the worker has stopped: nobody needs to wait for that.
            try:
                return finish(Loop(files, queue, reporter, proposer, no_more, session).run())
            except OutOfBudget as error:
                return finish(stopped=str(error))
    except Cancelled:
        return finish(interrupted=True)
    except KeyboardInterrupt:
        if broker_url is not None and not done:
            _stop_others(files, broker_url, reporter)
        return finish(interrupted=True)


@contextmanager
def _housekeeping(reporter: Reporter) -> Iterator[None]:
    """What is done here nothing depends on: where the volume does not take it, that is said, and ends nothing."""
    try:
        yield
    except (OSError, CorruptFile) as error:
        reporter.say(f"What killed processes left behind could not be removed: {describe(error)[0]}")


def _stop_others(files: ExperimentFileManager, broker_url: str, reporter: Reporter) -> None:
    """The workers of others must not go on with what nobody waits for."""
    try:
        cancel(files, broker_url)
    except BrokerUnavailable as error:
        reporter.say(f"The workers could not be told to stop: {error}")


@contextmanager
def _workers(
    files: ExperimentFileManager,
    reporter: Reporter,
    session: int,
    data_dir: Path,
    broker_url: str | None,
    concurrency: int,
    wait: bool,
) -> Iterator[CeleryQueue]:
    sandbox = files.load_metadata().spec.sandbox
    queue_name = job_queue(files.volume_id(), sandbox)
    check = _every(CANCEL_SECONDS, partial(_check_not_cancelled, files, session))
    if broker_url is not None:
        where = without_password(broker_url)
        app = make_app(broker_url, queue_name)
        check_broker(app, where)
        with CeleryQueue(
            app, where, Workers(app, data_dir, sandbox), wait=wait, watch=check, session=session, say=reporter.say
        ) as queue:
            reporter.queue_opened(queue.waiting)
            for sentence in queue.look_around():
                reporter.say(sentence)
            yield queue
        return
    with embedded_worker(data_dir, concurrency, sandbox) as worker:

        def watch() -> None:
            worker.check()
            check()

        app = make_app(worker.broker_url, queue_name)
        with CeleryQueue(app, _CHILD, watch=watch, slots=concurrency, session=session, trouble=worker.trouble) as queue:
            yield queue


def _check_not_cancelled(files: ExperimentFileManager, session: int) -> None:
    """Workers say it too, but there may be none."""
    if files.is_cancelled(session):
        raise Cancelled(f"{files.name} was cancelled.")


def _every(seconds: float, check: Callable[[], None]) -> Callable[[], None]:
    """``check``, done once in so many seconds however often it is called."""
    last = time.monotonic()

    def now_and_then() -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            check()

    return now_and_then


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
        dropped=files.dropped_count(),
    )


def _skipped(files: ExperimentFileManager) -> dict[str, str]:
    """The proposed scaffolds that were never evaluated, and why."""
    notes = {id: files.load_scaffold(id).metadata.notes for id in files.scaffold_ids()}
    return {id: in_short(str(one["skipped"])) for id, one in notes.items() if "skipped" in one}


def cancel(files: ExperimentFileManager, broker_url: str | None) -> int:
    """Stop an experiment everywhere: workers drop its jobs and kill those under way; how many were killed.

    They are told, because they may see the mark on the volume late; and they are told twice, for the run that was about
    to start when the first word came. Raises BrokerUnavailable where that fails; the mark is there all the same.
    """
    session = files.cancel()
    if broker_url is None:
        return 0
    app, where = make_app(broker_url), without_password(broker_url)
    word = {"volume": files.volume_id(), "experiment": files.name, "session": session}
    replies: list[Any] = []
    try:
        check_broker(app, where)
        with in_sentences(app, where):
            for _ in range(2):
                replies += app.control.broadcast("scaffoldry_cancel", word, reply=True, timeout=1.0) or []
    except BrokerUnavailable as error:
        error.add_note(
            f"{files} is marked as cancelled all the same: its session ends, and none of its waiting jobs is started; "
            "but the workers were not told, so a run under way goes on until its worker sees the mark on the volume, "
            "for which it looks every few seconds."
        )
        raise
    # Each is in the answers to both words.
    return len({run for reply in replies for answer in reply.values() for run in answer.get("runs", ())})
