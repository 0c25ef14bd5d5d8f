"""The workers that listen on a broker, asked for their state, and what is wrong with each for a data directory."""

import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from pydantic import ValidationError

import shared
from coordinator.report.words import command, listed
from shared.broker_url import without_query
from shared.models.worker_state import NODE_PREFIX, WorkerState, node_name
from shared.queue import job_queue, without_password
from shared.settings import get_settings
from shared.volume import VolumeProbe, known_volume_id


@dataclass(frozen=True)
class Answer:
    """A worker's answer. ``problem`` is a sentence about why it can't take the jobs that are meant, or None."""

    state: WorkerState
    ahead: float
    """Seconds by which its clock is ahead of this host's."""
    problem: str | None


class Workers:
    """All workers on an app's broker, seen from a data directory and, where one is named, for jobs of a sandbox."""

    def __init__(self, app: Celery, data_dir: Path, sandbox: str | None = None) -> None:
        """Raises OSError or CorruptFile where the data directory's volume has an id that cannot be read."""
        self._app = app
        self._data_dir = Path(data_dir).absolute()
        self._sandbox = sandbox
        self.volume = known_volume_id(self._data_dir)
        """The id of the data directory's volume; None where no run and no worker has used that directory."""

    def ask(self, seconds: float, **question: str) -> list[Answer]:
        """The workers' answers, by name; nobody is waited for once nothing has come for ``seconds``.

        They are asked twice before nobody is there: a question can be lost, a host be busy. ``question``: what else
        they are asked.
        """
        return self._ask(seconds, question) or self._ask(max(seconds, 1.0), question)

    def probe(self, seconds: float) -> list[Answer]:
        """The same answers, from workers that are asked for a token on the volume: a copy of one has its id.

        Raises OSError where the token cannot be left.
        """
        if self.volume is None:  # then nobody shares it, and nothing is left there
            return self.ask(seconds)
        token = secrets.token_hex(16)
        probe = VolumeProbe(self._data_dir, token[:8])
        try:
            probe.ask(token)
            answers = self.ask(seconds, probe=token[:8], token=token)
        finally:
            seen = probe.end()
        return [self._probed(answer, answer.state.name in seen) for answer in answers]

    def _probed(self, answer: Answer, seen: bool) -> Answer:
        found = answer.state.volume_problem or (None if seen else "what it writes is not seen here.")
        if answer.problem is not None or found is None:
            return answer
        problem = (
            f"{node_name(answer.state.name)} does not share the data directory {self._data_dir}: {found} Mount the "
            "same volume there, and start it anew with SCAFFOLDRY_DATA_DIR set to where it is mounted."
        )
        return replace(answer, problem=problem)

    def _ask(self, seconds: float, question: dict[str, str]) -> list[Answer]:
        answers: list[Answer] = []

        def hear(reply: dict[str, Any]) -> None:
            now = time.time()
            for node, record in reply.items():
                state = read_state(node, record)
                ahead = state.clock.timestamp() - now if state.clock else 0.0
                answers.append(Answer(state, ahead, self._problem(state)))

        self._app.control.broadcast("scaffoldry_state", question, reply=True, timeout=seconds, callback=hear)
        return sorted(answers, key=lambda answer: (answer.state.name, answer.state.host))

    def _problem(self, state: WorkerState) -> str | None:
        name = node_name(state.name)
        if state.version != shared.__version__:
            theirs = f"runs Scaffoldry {state.version}" if state.version else "runs another version of Scaffoldry"
            return f"{name} {theirs}, and this is {shared.__version__}: install the same version there."
        if state.volume is None:
            return f"{name} cannot use its data directory: {state.volume_problem}"
        if state.volume != self.volume:
            ours = f"this one on {self.volume}" if self.volume else "this one holds no volume's id"
            return (
                f"{name} does not share the data directory {self._data_dir}: its own is on volume {state.volume}, and "
                f"{ours}. Mount the same volume there, and start it anew with SCAFFOLDRY_DATA_DIR set to where it is "
                "mounted."
            )
        if state.queue != job_queue(state.volume, state.sandbox):
            return f"{name} was started before its data directory was mounted: start it anew."
        if self._sandbox not in (None, state.sandbox):
            return (
                f"{name} runs scaffolds in the sandbox {state.sandbox!r} alone, and this experiment asks for "
                f"{self._sandbox!r}: start a worker with --sandbox {self._sandbox}."
            )
        if state.trouble:
            return f"{name} can start no run at present, and takes no job until it can: {state.trouble}"
        return None


def start_command(broker_url: str) -> str:
    """The line that starts a worker on that broker: no password is in it, nor the URL where a worker would find it."""
    settings = get_settings()
    compose, runs, _ = (settings.command or "").partition(" run ")
    if runs and "compose" in compose:  # the coordinator's container is no place for a worker
        return f"{compose} up -d worker"
    parts = urlsplit(broker_url)
    own = parts.username == "coordinator"  # who may not take jobs
    if not own and without_query(broker_url) == without_query(settings.broker_url or ""):
        return command("worker")
    who = "USER:PASSWORD@" if parts.username or parts.password else ""
    return command("worker", "--broker-url", without_password(broker_url).replace("://", f"://{who}", 1))


def no_worker(broker_url: str) -> str:
    """What is said where nobody listens on that broker."""
    return f"No worker is listening on {without_password(broker_url)}. Start one: {start_command(broker_url)}"


def read_state(node: str, record: Any) -> WorkerState:
    """A worker's state from its reply; of a worker of another version, which may answer anything, what can be read."""
    try:
        return WorkerState.model_validate(record)
    except ValidationError:
        version = record.get("version") if isinstance(record, dict) else None
        return WorkerState(name=node.removeprefix(NODE_PREFIX), version=version if isinstance(version, str) else "")


def usable_slots(answers: Iterable[Answer]) -> dict[str, int]:
    """The slots of the workers that can take this data directory's jobs, by name."""
    return {answer.state.name: answer.state.slots for answer in answers if answer.problem is None}


def problems(answers: Iterable[Answer]) -> list[str]:
    """What is wrong with the workers that answered, a sentence each."""
    answers = list(answers)
    return [*(answer.problem for answer in answers if answer.problem), *namesakes(answers).values()]


def namesakes(answers: Sequence[Answer]) -> dict[str, str]:
    """A sentence for each name under which more than one worker answers."""
    hosts: dict[str, dict[str, str]] = {}
    for state in (answer.state for answer in answers):
        hosts.setdefault(state.name, {})[state.instance] = state.host
    return {
        name: f"{len(found)} workers answer as {node_name(name)}, on the hosts {listed(sorted(found.values()))}: "
        "give each a name of its own with --name or SCAFFOLDRY_WORKER_NAME."
        for name, found in hosts.items()
        if len(found) > 1
    }
