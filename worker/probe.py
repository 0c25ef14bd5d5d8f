"""Remote-control commands: what the coordinator asks of every worker."""

import platform
import secrets
import time
from datetime import UTC, datetime
from typing import Any

from celery.worker.control import control_command, inspect_command
from pydantic import ValidationError

import shared
from shared.error_words import describe
from shared.errors import ScaffoldryError
from shared.models import Job
from shared.models.ids import check_experiment_name
from shared.models.result import without_paths
from shared.models.worker_state import JobUnderWay, WorkerState
from shared.queue import is_of_volume
from shared.settings import get_settings
from shared.volume import VolumeProbe, volume_id
from worker.cancelled import cancelled_sessions
from worker.cancelling import stop_runs
from worker.doctor import checks_within
from worker.pausing import trouble
from worker.surroundings import look_around

_INSTANCE = secrets.token_hex(8)
_RECENT = 64
CHECK_SECONDS = 5.0
"""Within which a worker has looked at its engine and models, or says that it has not."""


@inspect_command(args=[("probe", str), ("token", str)])
def scaffoldry_state(state: Any, probe: str | None = None, token: str | None = None) -> dict[str, Any]:
    """This worker's state, as a WorkerState. With a probe's name and token, it looks for them on its volume."""
    settings = get_settings()
    volume, problem = None, None
    try:
        volume = volume_id(settings.data_dir)
        if probe is not None:
            problem = VolumeProbe(settings.data_dir, probe).answer(str(token), settings.worker_name)
    except (ScaffoldryError, OSError) as error:
        problem = describe(error)[0]
    answer = WorkerState(
        name=settings.worker_name,
        version=shared.__version__,
        instance=_INSTANCE,
        host=platform.node(),
        queue=state.app.conf.task_default_queue,
        volume=volume,
        volume_problem=problem and without_paths(problem),
        trouble=trouble.read() or None,
        slots=settings.concurrency,
        sandbox=settings.sandbox,
        jobs=tuple(_jobs_under_way()),
        clock=datetime.fromtimestamp(time.time(), UTC),
    )
    return answer.model_dump(mode="json")


def _jobs_under_way() -> list[JobUnderWay]:
    from celery.worker.state import active_requests

    found = []
    for request in list(active_requests):
        try:
            job = Job.model_validate(request.kwargs.get("job"))
        except ValidationError:
            continue  # it is being refused
        found.append(JobUnderWay(job=job, seconds=max(time.time() - (request.time_start or time.time()), 0.0)))
    return sorted(found, key=lambda one: -one.seconds)


@inspect_command()
def scaffoldry_checks(state: Any) -> dict[str, Any]:
    """What is wrong with this worker's Docker, image and models, as ``findings``. Celery's loop waits for it."""
    found = checks_within(CHECK_SECONDS, get_settings().sandbox)
    return {"findings": [{**one.model_dump(), "detail": without_paths(one.detail)} for one in found]}


@inspect_command(args=[("sandbox", str)])
def scaffoldry_surroundings(state: Any, sandbox: str) -> dict[str, Any]:
    """Which Python and which packages a scaffold finds in this worker's sandbox, or an ``error``.

    Another sandbox's name is refused: whoever asks must not be able to have a program run with less isolation.
    """
    own = get_settings().sandbox
    if sandbox != own:
        return {"error": f"This worker has the sandbox {own!r} alone."}
    try:
        return look_around(str(sandbox)).model_dump()
    except (ScaffoldryError, OSError) as error:
        return {"error": without_paths(describe(error)[0])}


@control_command(args=[("volume", str), ("experiment", str), ("session", int)])
def scaffoldry_cancel(state: Any, volume: str, experiment: str, session: int) -> dict[str, list[str]]:
    """Stop this worker's running jobs of an experiment, their containers with them, and start none that is waiting.

    All sessions up to that one are meant; those of long ago have no job on the queue.
    """
    if not is_of_volume(state.app.conf.task_default_queue, volume):
        return {"runs": []}  # there may be an experiment of that name on another
    for number in range(max(1, session - _RECENT), session + 1):
        cancelled_sessions.add(check_experiment_name(experiment), number)
    return {"runs": stop_runs(state.consumer.pool, experiment, session)}
