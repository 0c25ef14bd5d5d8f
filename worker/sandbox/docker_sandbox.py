"""Runs each scaffold in a container of its own, that is made for one run and removed after it."""

import uuid
from collections.abc import Callable
from concurrent.futures import Future, wait

from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from shared.errors import InfraError, SandboxUnavailable
from shared.models import Labels, Limits, RunOutcome, RunRequest, ScaffoldMount
from worker.sandbox.base import OnOutput, Sandbox, SandboxSession
from worker.sandbox.container_config import WORKER_LABEL, container_config
from worker.sandbox.docker import Engine
from worker.sandbox.exchange import Deadline, End, Input, exchange
from worker.sandbox.failure import answer_stands
from worker.sandbox.image import check_image, image_reference
from worker.sandbox.outcome import conclude
from worker.sandbox.protocol import encode_request
from worker.sandbox.stream import Capture, Demultiplexer

MOST_REMOVALS = 2
"""Dead containers of one process that may be under way to removal while it goes on."""
KILL_TIMEOUT = 30
"""Seconds a killed container may take to end."""


class DockerSandbox(Sandbox):
    """Containers of the local Docker engine, without network or rights, and bounded in everything."""

    name = "docker"

    def __init__(self, engine: Engine | None = None) -> None:
        self._engine = engine or Engine()
        self._removals: list[Future[None]] = []

    def check(self) -> None:
        try:
            version = self._engine.version()
        except InfraError as error:
            raise SandboxUnavailable(
                f"{error}\nStart the engine, or let this user use it (see `scaffoldry doctor`)."
            ) from error
        if version.get("Os") != "linux" or not self._engine.is_local:
            raise SandboxUnavailable(
                "The Docker engine is not this host's own, so it does not see its directories: unset DOCKER_HOST."
            )
        check_image(self._engine, image_reference())

    def open(self, scaffold: ScaffoldMount, limits: Limits, labels: Labels) -> SandboxSession:
        return DockerSession(self._engine, image_reference(), scaffold, limits, labels, self.defer)

    def settle(self) -> None:
        while self._removals:
            self._removals.pop().result()

    def defer(self, removal: "Future[None]") -> None:
        """Leave a removal to the background; wait where too many are under way there."""
        self._removals = [one for one in self._removals if not one.done() or one.exception()] + [removal]
        if len(self._removals) > MOST_REMOVALS:
            wait(self._removals[:-MOST_REMOVALS])

    def reap(self, worker: str) -> int:
        found = self._engine.find(WORKER_LABEL, worker)
        for container in found:
            self._engine.remove(container)
        return len(found)


class DockerSession(SandboxSession):
    """Makes a container per run. Dead ones are removed in the background while the next run is on its way."""

    def __init__(
        self,
        engine: Engine,
        image: str,
        scaffold: ScaffoldMount,
        limits: Limits,
        labels: Labels,
        defer: Callable[[Future[None]], None],
    ) -> None:
        self._engine = engine
        self._image = image
        self._scaffold = scaffold
        self._limits = limits
        self._labels = labels
        self._defer = defer

    def run(self, request: RunRequest, on_output: OnOutput | None = None) -> RunOutcome:
        name = f"scaffoldry-{uuid.uuid4().hex}"
        config = container_config(self._image, self._scaffold, self._limits, self._labels, request)
        creation = self._engine.later(self._engine.create, name, config)
        try:
            creation.result()
            outcome = self._run_in(name, request, Capture(self._limits, on_output))
        except BaseException as error:
            # Also SystemExit at any point. The engine may not have made it yet, but will: wait, then remove it.
            creation.exception()
            try:
                self._remove(name)
            except InfraError as trouble:
                error.add_note(str(trouble))
            raise
        self._defer(self._engine.later(self._remove, name))
        return outcome

    def close(self) -> None:
        """Every run has seen to its own container."""

    @retry(retry=retry_if_exception_type(InfraError), stop=stop_after_attempt(3), wait=wait_fixed(0.3), reraise=True)
    def _remove(self, name: str) -> None:
        """Engines may find a file system busy that was in use a moment ago."""
        self._engine.remove(name)

    def _run_in(self, name: str, request: RunRequest, capture: Capture) -> RunOutcome:
        with self._engine.attach(name) as stream:
            self._engine.start(name)
            demultiplexer = Demultiplexer()

            def take(data: bytes) -> None:
                for part in demultiplexer.feed(data):
                    capture.feed(*part)

            deadline = Deadline(self._limits.timeout, capture)
            source = Input(stream, encode_request(request, self._limits))
            end = exchange(source, {stream: take}, capture, deadline)
        # Closed streams are not yet a dead program: it may have closed them itself.
        exit_code = self._engine.wait(name, deadline.remaining) if end is End.CLOSED else None
        if exit_code is None:
            end = End.DEADLINE if end is End.CLOSED else end
            self._engine.kill(name)
            exit_code = self._engine.wait(name, KILL_TIMEOUT)
            if exit_code is None:
                raise InfraError(f"The container {name} was killed, but has not ended.")
        capture.finish()
        oom_killed = not answer_stands(capture.answer, exit_code) and self._engine.oom_killed(name)
        return conclude(capture, end, exit_code, oom_killed, self._limits)
