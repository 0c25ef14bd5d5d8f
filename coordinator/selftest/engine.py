"""Docker from outside, as anyone with a shell may use it: looking for what is left, and killing what is at work."""

import json
import subprocess
from collections.abc import Sequence

from shared.errors import SandboxUnavailable
from shared.models.base import Frozen

JOB, EXPERIMENT, WORKER = "scaffoldry.job", "scaffoldry.experiment", "scaffoldry.worker"
ATTEMPT, MAKER = "scaffoldry.attempt", "scaffoldry.maker"
_SHAPE = (
    f'{{"id": {{{{json .ID}}}}, "state": {{{{json .State}}}}, "job": {{{{json (.Label "{JOB}")}}}}, '
    f'"worker": {{{{json (.Label "{WORKER}")}}}}, "attempt": {{{{json (.Label "{ATTEMPT}")}}}}, '
    f'"maker": {{{{json (.Label "{MAKER}")}}}}}}'
)
_SECONDS = 60


class Container(Frozen):
    """One of our containers."""

    id: str
    job: str
    running: bool
    worker: str = ""
    attempt: str = ""
    maker: str = ""
    """The process that made it: its id, and the moment of its start."""

    @property
    def run_type(self) -> str:
        """The run type of its job."""
        return next((part for part in self.job.split(".") if part.startswith("valid_")), "")


class DockerCommand:
    """The ``docker`` command on one engine; None: the one that it finds by itself.

    Raises SandboxUnavailable where the command is not there, or does not end.
    """

    def __init__(self, url: str | None = None) -> None:
        self.url = url

    def answers(self) -> bool:
        """Whether there is an engine."""
        try:
            return self._call("version", "--format", "{{.Server.Version}}").returncode == 0
        except SandboxUnavailable:
            return False

    def containers(self, experiment: str) -> list[Container]:
        """An experiment's containers, running or not."""
        return self._labelled(f"{EXPERIMENT}={experiment}")

    def of_workers(self, prefix: str) -> list[Container]:
        """The containers of all workers whose names begin so: those of runs, and those of no experiment."""
        return [one for one in self._labelled(WORKER) if one.worker.startswith(prefix)]

    def _labelled(self, label: str) -> list[Container]:
        done = self._call("ps", "--all", "--no-trunc", "--filter", f"label={label}", "--format", _SHAPE)
        if done.returncode:
            raise SandboxUnavailable(f"The docker command could not list containers: {done.stderr.strip()}")
        found = [json.loads(line) for line in done.stdout.splitlines()]
        return [Container(running=one.pop("state") == "running", **one) for one in found]

    def kill(self, container: str) -> bool:
        """SIGKILL to all of a container; whether it was running."""
        return self._call("kill", container).returncode == 0

    def remove(self, containers: Sequence[str]) -> None:
        """Remove containers, whatever they do."""
        if containers:
            self._call("rm", "--force", "--volumes", *containers)

    def save(self, reference: str, archive: str) -> bool:
        """Write an image to an archive."""
        return self._call("save", "--output", archive, reference).returncode == 0

    def load(self, archive: str) -> bool:
        """Read an image from an archive."""
        return self._call("load", "--quiet", "--input", archive).returncode == 0

    def _call(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        host = ["--host", self.url] if self.url else []
        words = ["docker", *host, *arguments]
        try:
            return subprocess.run(
                words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SandboxUnavailable(f"The docker command did not answer: {error}") from None
