"""A sandbox that runs nothing and says what it was told to say: for tests, and to measure everything else."""

from collections import deque
from collections.abc import Callable, Iterable

from shared.models import Labels, Limits, RunOutcome, RunRequest, ScaffoldMount, Status
from worker.sandbox.base import OnOutput, Sandbox, SandboxSession

Answer = RunOutcome | BaseException
"""An outcome to return, or an exception to raise."""


def echo(request: RunRequest) -> Answer:
    """A run that answers with its input."""
    return RunOutcome(status=Status.OK, output=request.input_string, exit_code=0)


class FakeSandbox(Sandbox):
    """Answers from ``queued`` while there are any, then with ``answer(request)``. Thread-safe."""

    name = "fake"
    uses_gateway = False

    def __init__(self, queued: Iterable[Answer] = (), answer: Callable[[RunRequest], Answer] = echo) -> None:
        self._queued = deque(queued)
        self._answer = answer
        self.requests: list[RunRequest] = []
        """All that was asked so far."""

    def check(self) -> None:
        """Nothing is needed."""

    def open(self, scaffold: ScaffoldMount, limits: Limits, labels: Labels) -> SandboxSession:
        return FakeSession(self)

    def reap(self, worker: str, own: bool = False) -> int:
        return 0

    def next_answer(self, request: RunRequest) -> Answer:
        """What the next run is to end with."""
        self.requests.append(request)
        try:
            return self._queued.popleft()
        except IndexError:
            return self._answer(request)


class FakeSession(SandboxSession):
    """Asks its sandbox."""

    def __init__(self, sandbox: FakeSandbox) -> None:
        self._sandbox = sandbox

    def run(self, request: RunRequest, on_output: OnOutput | None = None) -> RunOutcome:
        answer = self._sandbox.next_answer(request)
        if isinstance(answer, BaseException):
            raise answer
        if on_output is not None and answer.stderr:
            on_output(answer.stderr)
        return answer

    def close(self) -> None:
        """Nothing was made."""
