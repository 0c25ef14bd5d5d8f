"""Runs scaffolds as plain processes of this user. No isolation whatever: for trusted code, and only when asked for.

Deadlines, the output limit and (roughly) the memory limit hold; processors, processes and files are not limited.
"""

import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from shared.errors import InfraError
from shared.models import Labels, Limits, RunOutcome, RunRequest, ScaffoldMount
from worker.sandbox import strays
from worker.sandbox.base import OnOutput, Sandbox, SandboxSession
from worker.sandbox.exchange import Deadline, End, Input, exchange
from worker.sandbox.outcome import conclude
from worker.sandbox.protocol import COMMAND, RUNNER, encode_request
from worker.sandbox.stream import ANSWER, TEXT, Capture

PATH = "/usr/local/bin:/usr/bin:/bin"


class ProcessSandbox(Sandbox):
    """Each run is a process group of its own, in a scratch directory of its own."""

    name = "process"

    def check(self) -> None:
        """Nothing but this interpreter is needed."""

    def open(self, scaffold: ScaffoldMount, limits: Limits, labels: Labels) -> SandboxSession:
        return ProcessSession(scaffold, limits, labels)

    def reap(self, worker: str, own: bool = False) -> int:
        return strays.reap(worker, own)


class ProcessSession(SandboxSession):
    """Starts a new process for every run."""

    def __init__(self, scaffold: ScaffoldMount, limits: Limits, labels: Labels) -> None:
        self._scaffold = scaffold
        self._limits = limits
        self._labels = labels

    def run(self, request: RunRequest, on_output: OnOutput | None = None) -> RunOutcome:
        with tempfile.TemporaryDirectory(
            prefix=strays.own_prefix(self._labels.worker), ignore_cleanup_errors=True
        ) as name:
            try:
                return self._run_in(Path(name), request, Capture(self._limits, on_output))
            finally:
                strays.kill(Path(name))

    def close(self) -> None:
        """Nothing outlives a run."""

    def _run_in(self, scratch: Path, request: RunRequest, capture: Capture) -> RunOutcome:
        try:
            process = self._start(scratch, request)
        except OSError as error:
            raise InfraError(f"A process could not be started: {error}.") from error
        try:
            end = self._talk(process, request, capture)
        finally:
            # The group first: its number is the program's until the program is waited for.
            os.killpg(process.pid, signal.SIGKILL)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None and not stream.closed:
                    stream.close()
            code = process.wait()
        return conclude(capture, end, 128 - code if code < 0 else code, self._limits, oom_killed=False)

    def _start(self, scratch: Path, request: RunRequest) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, *COMMAND, str(RUNNER), str(self._scaffold.directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=scratch,
            env=_environment(scratch, request),
            start_new_session=True,
        )

    def _talk(self, process: subprocess.Popen[bytes], request: RunRequest, capture: Capture) -> End:
        assert process.stdin and process.stdout and process.stderr
        self._limit(process.pid)
        deadline = Deadline(self._limits.timeout, capture)
        source = Input(process.stdin.fileno(), encode_request(request, self._limits))
        readers = {
            process.stdout.fileno(): lambda data: capture.feed(ANSWER, data),
            process.stderr.fileno(): lambda data: capture.feed(TEXT, data),
        }
        death = os.pidfd_open(process.pid)
        try:
            return exchange(source, readers, capture, deadline, death)
        finally:
            os.close(death)

    def _limit(self, pid: int) -> None:
        """Bound the memory before the program begins, which it does when it gets its request.

        RLIMIT_DATA counts what a process may write to, not what it maps: closer to its real use than RLIMIT_AS.
        """
        try:
            resource.prlimit(pid, resource.RLIMIT_DATA, (self._limits.memory, self._limits.memory))
            resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
        except ProcessLookupError:
            return  # It ended already; its exit code says the rest.


def _environment(scratch: Path, request: RunRequest) -> dict[str, str]:
    environment = {"PATH": PATH, "HOME": str(scratch), strays.MARK: str(scratch)}
    if request.gateway_dir is not None:
        environment["SCAFFOLDRY_SOCKET"] = str(request.gateway_dir / "gateway.sock")
        environment["SCAFFOLDRY_MODEL"] = request.model
    return environment
