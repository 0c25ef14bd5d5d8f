"""What the scaffolds of an experiment find where they run, asked of those who run them."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from coordinator.proposers.base import Surroundings
from coordinator.worker_tools import call_worker, data_dir_variables
from coordinator.workers import Workers, problems, start_command
from shared.errors import NoWorker, SandboxUnavailable
from shared.models.spec import ExecutorSpec
from shared.models.surroundings import Interior
from shared.models.worker_state import node_name
from shared.queue import check_broker, make_app, without_password

_SECONDS = 60.0
"""A worker that starts a container on a busy host is slow to answer."""
_STATE_SECONDS = 2.0


def find_surroundings(sandbox: str, executor: ExecutorSpec, *, data_dir: Path, broker_url: str | None) -> Surroundings:
    """What a scaffold finds in that sandbox, under the executor's limits.

    This machine's own sandbox is looked into; where it has none, and there is a broker, a worker's. Raises
    SandboxUnavailable, BrokerUnavailable, NoWorker. Nothing is remembered: an image may change between two sessions.
    """
    interior = _here(sandbox, data_dir, quiet=broker_url is not None)
    if interior is None and broker_url is not None:
        interior = _at_a_worker(sandbox, broker_url, data_dir)
    if interior is None:
        raise SandboxUnavailable(
            f"The sandbox {sandbox!r} could not be asked which Python it has. `scaffoldry doctor` says what is amiss."
        )
    limits = executor.limits
    return Surroundings(
        **interior.model_dump(),
        timeout=limits.timeout,
        memory=limits.memory,
        cpus=limits.cpus,
        output_limit=limits.output_limit,
        max_calls=executor.max_calls,
    )


def _here(sandbox: str, data_dir: Path, quiet: bool) -> Interior | None:
    done = call_worker(
        *("surroundings", "--sandbox", sandbox, "--json"),
        capture=True,
        quiet=quiet,
        **data_dir_variables(data_dir),
    )
    return _interior(json.loads(done.stdout)) if done.returncode == 0 else None


def _at_a_worker(sandbox: str, broker_url: str, data_dir: Path) -> Interior | None:
    """The answer of the first worker that has one, of those that will run the scaffolds; they are asked in turn."""
    where = without_password(broker_url)
    app = make_app(broker_url)
    check_broker(app, where)
    workers = Workers(app, data_dir, sandbox)
    answers = workers.ask(_STATE_SECONDS)
    problem = ""
    for name in (answer.state.name for answer in answers if answer.problem is None):
        replies: Any = app.control.broadcast(
            *("scaffoldry_surroundings", {"sandbox": sandbox}),
            reply=True,
            destination=[node_name(name)],
            limit=1,
            timeout=_SECONDS,
        )
        for answer in (answer for reply in replies or [] for answer in reply.values()):
            interior = _interior(answer)
            if interior is not None:
                return interior
            problem = f"The worker {name} could not look into its sandbox: {answer.get('error')}"
    if problem:
        raise SandboxUnavailable(problem)
    none = (
        f"This machine has no sandbox {sandbox!r}, and no worker on {where} answers that could be asked which Python "
        f"its own has."
    )
    raise NoWorker(" ".join([none, *problems(answers), f"Start one: {start_command(broker_url)}"]))


def _interior(answer: Any) -> Interior | None:
    try:
        return Interior.model_validate(answer)
    except ValidationError:
        return None
