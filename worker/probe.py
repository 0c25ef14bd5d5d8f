"""Remote-control commands: what ``doctor`` and the coordinator ask of every worker."""

from typing import Any

from celery.worker.control import control_command, inspect_command

import shared
from shared.error_words import describe
from shared.errors import ScaffoldryError
from shared.file_manager import ExperimentFileManager
from shared.models.ids import check_experiment_name
from shared.models.result import without_paths
from shared.settings import get_settings
from worker.surroundings import look_around


@inspect_command(args=[("experiment", str), ("token", str)])
def scaffoldry_probe(state: Any, experiment: str, token: str) -> dict[str, Any]:
    """Who this worker is, and whether it sees ``token`` on the volume and can write there."""
    settings = get_settings()
    try:
        probe = ExperimentFileManager(settings.data_dir / check_experiment_name(experiment))
        volume = probe.answer_probe(token, settings.worker_name)
    except (OSError, ValueError) as error:
        volume = str(error)
    return {
        "worker": settings.worker_name,
        "slots": settings.concurrency,
        "version": shared.__version__,
        "volume": without_paths(volume),
    }


@inspect_command(args=[("sandbox", str)])
def scaffoldry_surroundings(state: Any, sandbox: str) -> dict[str, Any]:
    """Which Python and which packages a scaffold finds in this worker's sandbox, or an ``error``."""
    try:
        return look_around(str(sandbox)).model_dump()
    except (ScaffoldryError, OSError) as error:
        return {"error": without_paths(describe(error)[0])}


@control_command(args=[("experiment", str)])
def scaffoldry_cancel(state: Any, experiment: str) -> dict[str, int]:
    """Stop this worker's running jobs of an experiment; their containers go with them."""
    from celery.worker.state import active_requests

    stopped = 0
    for request in list(active_requests):
        if request.task_id.startswith(f"{experiment}.it"):
            request.terminate(state.consumer.pool, signal="TERM")
            stopped += 1
    return {"stopped": stopped}
