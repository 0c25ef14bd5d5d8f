"""Runs each scaffold in a container of its own, that is made for one run and removed after it."""

import time
import uuid
from concurrent.futures import Future
from pathlib import Path

from shared.errors import InfraError, SandboxUnavailable
from shared.host_paths import on_host
from shared.maker import is_left, this_process
from shared.models import Labels, Limits, RunOutcome, RunRequest, ScaffoldMount
from worker.sandbox.base import OnOutput, Sandbox, SandboxSession
from worker.sandbox.container_config import MAKER_LABEL, WORKER_LABEL, container_config
from worker.sandbox.docker import Engine, NoAnswer, undisturbed
from worker.sandbox.engine_report import why_unfit
from worker.sandbox.exchange import Deadline, End, Input, exchange
from worker.sandbox.failure import answer_stands
from worker.sandbox.image import check_image, image_reference
from worker.sandbox.outcome import conclude
from worker.sandbox.own_mounts import own_mounts
from worker.sandbox.protocol import encode_request
from worker.sandbox.removal import Removals
from worker.sandbox.stream import Capture, Demultiplexer

KILL_TIMEOUT = 12.0
"""Seconds that the killing of a container may take, and its end."""
END_TIMEOUT = 18.0
"""Seconds from the end of a run, or its deadline, within which the engine has killed it and said how it ended."""


class DockerSandbox(Sandbox):
    """Containers of the local Docker engine, without network or rights, and bounded in everything."""

    name = "docker"
    has_engine = True

    def __init__(self, engine: Engine | None = None) -> None:
        self._engine = engine or Engine()
        self._removals = Removals(self._engine)

    def check(self) -> None:
        try:
            version = self._engine.version()
        except InfraError as error:
            raise SandboxUnavailable(
                f"{error}\nStart the engine, or let this user use it (see `scaffoldry doctor`)."
            ) from error
        reason = why_unfit(version, self._engine.is_local)
        if reason is not None:
            raise SandboxUnavailable(reason)
        check_image(self._engine, image_reference())

    def host_directory(self, directory: Path, configured: Path | None) -> Path | None:
        if configured is not None:
            return configured
        try:
            mounts = own_mounts(self._engine)
        except InfraError:
            return None  # an engine that does not answer: whoever needs it is told so by `check`
        return None if mounts is None else on_host(directory.resolve(), mounts)

    def open(self, scaffold: ScaffoldMount, limits: Limits, labels: Labels) -> SandboxSession:
        return DockerSession(self._engine, image_reference(), scaffold, limits, labels, self._removals)

    def settle(self) -> None:
        self._removals.settle()

    def reap(self, worker: str, own: bool = False) -> int:
        found = self._engine.labels(WORKER_LABEL, worker)
        orphans = [container for container, labels in found.items() if is_left(labels.get(MAKER_LABEL, ""), own)]
        for container in orphans:
            self._engine.remove(container)
        return len(orphans)


class DockerSession(SandboxSession):
    """Makes a container per run. Dead ones are removed in the background while the next run is on its way."""

    def __init__(
        self,
        engine: Engine,
        image: str,
        scaffold: ScaffoldMount,
        limits: Limits,
        labels: Labels,
        removals: Removals,
    ) -> None:
        self._engine = engine
        self._image = image
        self._scaffold = scaffold
        self._limits = limits
        self._labels = labels
        self._removals = removals

    def run(self, request: RunRequest, on_output: OnOutput | None = None) -> RunOutcome:
        name = f"scaffoldry-{uuid.uuid4().hex}"
        config = container_config(self._image, self._scaffold, self._limits, self._labels, request, this_process())
        capture = Capture(self._limits, on_output)
        deadline = Deadline(self._limits.timeout, capture)
        self._engine.connect()
        creation: Future[None] | None = None
        try:
            with undisturbed():
                creation = self._engine.later(self._engine.create, name, config, deadline.remaining)
            creation.result()
            outcome = self._run_in(name, request, capture, deadline)
        except BaseException as error:
            # Also SystemExit at any point. The engine may not have made it yet, but will: wait, then remove it.
            if isinstance(error, NoAnswer) or (creation and isinstance(creation.exception(), NoAnswer)):
                self._removals.pursue(name)  # one that does not answer is not waited for again
            elif creation:
                self._remove(name, error)
            raise
        self._removals.defer(name)
        return outcome

    def _remove(self, name: str, error: BaseException) -> None:
        """Remove a container whose run ended with that error; what goes wrong with it is added to that."""
        try:
            self._removals.now(name)
        except InfraError as trouble:
            error.add_note(str(trouble))

    def close(self) -> None:
        """Every run has seen to its own container."""

    def _run_in(self, name: str, request: RunRequest, capture: Capture, deadline: Deadline) -> RunOutcome:
        with self._engine.attach(name, deadline.remaining) as stream:
            self._engine.start(name, deadline.remaining)
            demultiplexer = Demultiplexer()

            def take(data: bytes) -> None:
                for part in demultiplexer.feed(data):
                    capture.feed(*part)

            source = Input(stream, encode_request(request, self._limits))
            end = exchange(source, {stream: take}, capture, deadline)
        # Closed streams are not yet a dead program: it may have closed them itself.
        exit_code = self._engine.wait(name, deadline.remaining) if end is End.CLOSED else None
        by_us, until = exit_code is None, time.monotonic() + END_TIMEOUT
        if exit_code is None:
            end = End.DEADLINE if end is End.CLOSED else end
            exit_code = self._kill(name)
        capture.finish()
        stands = not by_us and answer_stands(capture.answer, exit_code)
        return conclude(
            capture,
            end,
            exit_code,
            self._limits,
            oom_killed=not stands and self._engine.oom_killed(name, until - time.monotonic()),
            killed_from_outside=not stands
            and not by_us
            and self._engine.killed_from_outside(name, until - time.monotonic()),
        )

    def _kill(self, name: str) -> int:
        """The exit code of a container that is killed; raises InfraError unless it ends in time."""
        until = time.monotonic() + KILL_TIMEOUT
        self._engine.kill(name, KILL_TIMEOUT)
        exit_code = self._engine.wait(name, until - time.monotonic())
        if exit_code is None:
            raise InfraError(f"The container {name} was killed, but has not ended.")
        return exit_code
