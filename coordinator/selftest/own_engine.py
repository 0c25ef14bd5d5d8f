"""A Docker engine of the suite's own, to be restarted and hung as the user's must not be. As root."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from coordinator.selftest.engine import DockerCommand
from coordinator.selftest.processes import Process, until
from coordinator.worker_tools import call_worker
from shared.errors import SandboxUnavailable
from shared.models import ImageInfo

_START_SECONDS = 60.0


class OwnEngine:
    """An engine with a network namespace, a data root in memory and a socket of its own.

    A process that does nothing holds the namespaces, so that they outlive a restart; what the engine starts there is
    gone with it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "data").mkdir(parents=True)
        self.command = DockerCommand(f"unix://{folder}/docker.sock")
        script = f"mount -t tmpfs none {folder}/data && ip link set lo up && echo ready && exec sleep infinity"
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        if self._holder.stdout is None or self._holder.stdout.readline() != b"ready\n":
            raise SandboxUnavailable("No namespaces could be made for an engine of our own: this needs root.")
        self._engine: Process | None = None

    def start(self) -> None:
        """Start it; raises SandboxUnavailable where it does not answer."""
        options = {
            "data-root": self._folder / "data",
            "exec-root": self._folder / "exec",
            "pidfile": self._folder / "pid",
            "host": self.command.url,
            "bridge": "none",
            "iptables": "false",
            "ip6tables": "false",
        }
        words = ["nsenter", f"--target={self._holder.pid}", "--net", "--mount", "--", "dockerd"]
        words += [f"--{name}={value}" for name, value in options.items()]
        self._engine = Process("dockerd", words, self._folder / "log", {})
        if not until(self.command.answers, _START_SECONDS, 0.3):
            raise SandboxUnavailable(f"dockerd does not answer; its log is {self._engine.log}.")

    def take_image(self, other: DockerCommand) -> None:
        """Take the sandbox image over from another engine; raises SandboxUnavailable where it has none."""
        archive = self._folder / "image.tar"
        reference = ImageInfo.model_validate_json(call_worker("image", "info", "--json", capture=True).stdout).reference
        if not other.save(reference, str(archive)) or not self.command.load(str(archive)):
            raise SandboxUnavailable("The sandbox image is not there: make it with `scaffoldry image build`.")
        archive.unlink()

    def stop(self) -> None:
        """End it as an init system does."""
        if self._engine is not None:
            self._engine.stop(30)

    def hang(self, hanging: bool) -> None:
        """Stop it where it stands, or let it go on: it takes requests and answers none."""
        if self._engine is not None:
            self._engine.signal(signal.SIGSTOP if hanging else signal.SIGCONT)

    def end(self) -> None:
        """End it, and all that lives in its namespaces."""
        if self._engine is not None:
            self._engine.signal(signal.SIGCONT)
        self.stop()
        home = _namespace(self._holder.pid)
        for pid in [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]:
            if home and _namespace(pid) == home:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._holder.wait(10)


def _namespace(pid: int) -> str:
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/mnt")
    return ""
