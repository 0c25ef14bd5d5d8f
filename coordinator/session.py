"""One session at an experiment: connect to the workers, run the loop, say how it stands."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coordinator.celery_queue import CeleryQueue
from coordinator.embedded import embedded_worker
from coordinator.loop import all_details, count_status, run_loop
from coordinator.report.base import Reporter, Summary
from shared.errors import BrokerUnavailable, Cancelled
from shared.file_manager import ExperimentFileManager
from shared.models import Details, Status
from shared.models.base import Frozen
from shared.queue import check_broker, make_app, without_password

_CHILD = "the worker of this session"


class Finding(Frozen):
    """One line of ``doctor``: ``ok`` is None where it cannot be told; ``fix`` says what to do."""

    check: str
    ok: bool | None
    detail: str
    fix: str | None = None


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

    def finish(interrupted: bool) -> Summary:
        if not done:
            done.append(summarize(files, interrupted, time.monotonic() - began))
            reporter.finished(done[0])
        return done[0]

    try:
        with _workers(files, broker_url, concurrency, wait, resumed) as queue:
            run_loop(files, queue, reporter)
            return finish(interrupted=False)  # before the worker has stopped: nobody needs to wait for that
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


def summarize(files: ExperimentFileManager, interrupted: bool, seconds: float) -> Summary:
    """How the experiment stands by what is committed."""
    details = all_details(files)
    parts = [part for one in details for split in one.splits.values() for part in split.values()]
    plans = [files.load_plan(iteration) for iteration in files.plan_iterations()]
    quarantined = sum(len(files.quarantined_run_types(plan.iteration, id)) for plan in plans for id in plan.scaffolds)
    return Summary(
        directory=str(files),
        experiment=files.name,
        complete=all(part.complete for part in parts),
        quarantined=quarantined,
        scorer_errors=count_status(details, Status.SCORER_ERROR),
        interrupted=interrupted,
        seconds=seconds,
        details=tuple(details),
    )


def aggregate_all(files: ExperimentFileManager) -> list[Details]:
    """Make all scoring files anew."""
    return all_details(files)


def cancel(files: ExperimentFileManager, broker_url: str | None) -> int:
    """Stop an experiment everywhere: workers drop its jobs and kill those under way; how many were killed."""
    files.cancel()
    if broker_url is None:
        return 0
    app = make_app(broker_url)
    check_broker(app, without_password(broker_url))
    replies: Any = app.control.broadcast("scaffoldry_cancel", {"experiment": files.name}, reply=True, timeout=3.0)
    return sum(answer.get("stopped", 0) for reply in replies or [] for answer in reply.values())


def doctor_workers(broker_url: str | None, data_dir: Path) -> list[Finding]:
    """Whether the broker answers, and whether each worker does and shares this host's data directory."""
    if broker_url is None:
        return [Finding(check="broker", ok=True, detail="none set: each run brings a worker of its own")]
    where = without_password(broker_url)
    app = make_app(broker_url)
    try:
        check_broker(app, where)
    except BrokerUnavailable as error:
        return [
            Finding(check="broker", ok=False, detail=str(error), fix="Start Redis, or correct SCAFFOLDRY_BROKER_URL.")
        ]
    token = secrets.token_hex(16)
    probe = ExperimentFileManager(Path(data_dir) / f"probe-{token[:8]}")
    probe.ask_probe(token)
    replies: Any = (
        app.control.inspect(timeout=3.0)._request("scaffoldry_probe", experiment=probe.name, token=token) or {}
    )
    seen = probe.end_probe()
    found = [Finding(check="broker", ok=True, detail=f"{where} answers")]
    if not replies:
        fix = f"scaffoldry worker --broker-url {where}"
        return [*found, Finding(check="workers", ok=False, detail="no worker answers", fix=fix)]
    return [*found, *(_worker_finding(reply, seen) for _, reply in sorted(replies.items()))]


def _worker_finding(reply: dict[str, Any], seen: list[str]) -> Finding:
    worker = str(reply.get("worker"))
    ok = reply.get("volume") == "ok" and worker in seen
    detail = f"{worker} answers: {reply.get('slots')} slots, version {reply.get('version')}"
    if ok:
        return Finding(check=f"worker {worker}", ok=True, detail=f"{detail}, shares the data directory")
    problem = reply.get("volume") if reply.get("volume") != "ok" else "what it writes is not seen here"
    fix = "Mount the same volume on both hosts and set SCAFFOLDRY_DATA_DIR on each to where it is mounted."
    return Finding(check=f"worker {worker}", ok=False, detail=f"{detail}; {problem}", fix=fix)
