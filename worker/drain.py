"""``scaffoldry worker --drain``: have a host's workers take no new job, and wait until they have finished and gone."""

import time
from collections.abc import Callable
from typing import Any

from shared.errors import NoWorker, UsageError
from shared.models.ids import check_worker_name
from shared.models.worker_state import node_name
from shared.queue import app, check_broker, without_password
from shared.settings import get_settings
from worker.names import held_names, is_held

_ASK_SECONDS = 2.0
_SILENCES = 3
"""A worker elsewhere that has not answered so many times has gone; a busy one may miss one."""


def drain(name: str | None, say: Callable[[str], None]) -> None:
    """Drain the worker of that name, and its siblings on this host; return once they have gone.

    Raises NoWorker where none of them answers, UsageError, BrokerUnavailable.
    """
    settings = get_settings()
    if settings.broker_url is None:
        raise UsageError("A worker is drained over its broker: set SCAFFOLDRY_BROKER_URL or give --broker-url.")
    where = without_password(settings.broker_url)
    name = check_worker_name(settings.worker_name if name is None else name)
    check_broker(app, where)
    here = held_names(name)
    workers = sorted({name, *here})
    told = _ask(workers) or _ask(workers)  # a busy worker may miss one
    if not told:
        raise NoWorker(f"No worker named {name} listens on {where}, so there is none to drain.")
    await_end(told, here, _ask, say)


def await_end(
    told: dict[str, list[str]],
    here: list[str],
    ask: Callable[[list[str]], dict[str, list[str]]],
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Say what each worker still runs, as that changes, and that it has gone; return once all have.

    A worker of this host (``here``) holds its name to its last moment; of another only its silence can be heard.
    """
    silent = dict.fromkeys(told, 0)
    said: dict[str, list[str]] = {}
    answered = told
    while silent:
        for worker in list(silent):
            if worker in answered:
                silent[worker] = 0
                if said.get(worker) != answered[worker]:
                    said[worker] = answered[worker]
                    say(_sentence(worker, answered[worker]))
            else:
                silent[worker] += 1
                if not is_held(worker) if worker in here else silent[worker] >= _SILENCES:
                    del silent[worker]
                    say(f"{node_name(worker)} has gone.")
        if silent:
            sleep(0.2)
            answered = ask(list(silent))


def _sentence(worker: str, runs: list[str]) -> str:
    if not runs:
        return f"{node_name(worker)} takes no new job and runs none: it is ending."
    more = f" and {len(runs) - 3} more" if len(runs) > 3 else ""
    plural = "s" if len(runs) > 1 else ""
    return f"{node_name(worker)} takes no new job and finishes {len(runs)} run{plural}: {'; '.join(runs[:3])}{more}."


def _ask(workers: list[str]) -> dict[str, list[str]]:
    replies: Any = app.control.broadcast(
        "scaffoldry_drain",
        destination=[node_name(worker) for worker in workers],
        reply=True,
        timeout=_ASK_SECONDS,
        limit=len(workers),
    )
    found = {node: answer for reply in replies or [] for node, answer in reply.items()}
    return {worker: list(found[node_name(worker)]["running"]) for worker in workers if node_name(worker) in found}
