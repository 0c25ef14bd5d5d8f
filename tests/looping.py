"""What the tests of whole experiments share: a worker in this process, and a proposer that is told what to write."""

import io
import sys
import traceback
import types
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from coordinator.experiment import Prepared, create
from coordinator.job_queue import JobQueue
from coordinator.loop import Loop
from coordinator.proposers import Draft, Order, Proposer
from coordinator.report.base import Reporter, Summary
from coordinator.spec import LoadedSpec
from shared.file_manager import ExperimentFileManager
from shared.models import (
    Details,
    Example,
    ExperimentSpec,
    Job,
    Labels,
    Limits,
    Plan,
    Receipt,
    RunOutcome,
    RunRequest,
    RunResult,
    ScaffoldMetadata,
    ScaffoldMount,
    ScaffoldResult,
    Status,
)
from shared.models.ids import PREFLIGHT, split_of
from worker import execution
from worker.execution import run_job
from worker.sandbox.base import OnOutput, Sandbox, SandboxSession

Event = Callable[[str], None]
"""Told of each thing that is about to happen; may raise."""


def nothing(event: str) -> None:
    """Lets all pass."""


def code(quality: int) -> str:
    """A scaffold that answers ``quality`` of ten numbers rightly."""
    return f"def process_input(text):\n    return text if int(text) % 10 < {quality} else 'no'\n"


RAISING = "def process_input(text):\n    raise RuntimeError('It broke.')\n"


# ---------------------------------------------------------------- runs


class InProcess(Sandbox):
    """Runs trusted scaffolds in this very process; their model answers ``4``."""

    name = "fake"
    uses_gateway = False

    def check(self) -> None:
        """Nothing is needed."""

    def open(self, scaffold: ScaffoldMount, limits: Limits, labels: Labels) -> SandboxSession:
        return InProcessSession(scaffold.directory / "scaffold.py")

    def reap(self, worker: str) -> int:
        return 0


class InProcessSession(SandboxSession):
    def __init__(self, path: Path) -> None:
        self._path = path

    def run(self, request: RunRequest, on_output: OnOutput | None = None) -> RunOutcome:
        names: dict[str, Any] = {}
        printed = io.StringIO()
        try:
            with redirect_stdout(printed):
                exec(compile(self._path.read_text(), "scaffold.py", "exec"), names)
                output = names["process_input"](request.input_string)
            outcome = RunOutcome(status=Status.OK, output=output, exit_code=0)
        except Exception:
            message = traceback.format_exc()
            printed.write(message)
            outcome = RunOutcome(status=Status.SCAFFOLD_ERROR, exit_code=1, error_message=message)
        if on_output is not None:
            on_output(printed.getvalue())
        return outcome

    def close(self) -> None:
        """Nothing was made."""


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have runs made in this process."""
    model = types.ModuleType("llm_executor")
    model.execute_llm = lambda prompt, system_prompt="": "4"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "llm_executor", model)
    monkeypatch.setitem(execution._sandboxes, "fake", InProcess())
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # no power is cut here


class WorkerQueue(JobQueue):
    """A worker in this process. Refuses jobs that no plan on the disk has."""

    def __init__(self, files: ExperimentFileManager, event: Event = nothing, session: int = 1) -> None:
        self.files = files
        self.event = event
        self.session = session
        self.ran: list[Job] = []
        self.waiting: list[tuple[Job, int]] = []
        self.fail: Callable[[Job], bool] = lambda job: False
        """Which jobs the machinery fails."""

    def send(self, job: Job, attempt: int) -> None:
        self.event("send")
        plan = self.files.load_plan(job.iteration)
        split = split_of(job.run_type)
        assert job.run_type in plan.runs, f"{job} is in no plan"
        assert split == PREFLIGHT or job.scaffold_id in plan.assigned[split], f"{job} is in no plan"
        self.waiting.append((job, attempt))

    def receive(self, timeout: float) -> list[tuple[Job, int, Receipt]]:
        if not self.waiting:
            return []
        self.event("run")
        job, attempt = self.waiting.pop(0)
        if self.fail(job):
            return [(job, attempt, Receipt(status=Status.INFRA_ERROR, error_message="The engine went away."))]
        if not self.files.is_committed(job):
            self.ran.append(job)
        receipt = Receipt.of(run_job(self.files, job, attempt, "w", self.session))
        self.event("receive")
        return [(job, attempt, receipt)]

    def complaint(self) -> str | None:
        return None


class Talk(Reporter):
    """Keeps what is said, and the plans that were begun."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.begun: list[Plan] = []
        self.restored = 0
        self.quarantined = 0

    def iteration_started(self, plan: Plan) -> None:
        self.begun.append(plan)

    def run_restored(self, result: RunResult) -> None:
        self.restored += 1

    def run_finished(self, job: Job, receipt: Receipt) -> None:
        """Is not looked at."""

    def run_retried(self, job: Job, receipt: Receipt) -> None:
        """Is not looked at."""

    def run_quarantined(self, job: Job, receipt: Receipt) -> None:
        self.quarantined += 1

    def say(self, message: str) -> None:
        self.said.append(message)

    def tick(self) -> None:
        """Is not looked at."""

    def finished(self, summary: Summary) -> None:
        """Is not looked at."""


# ---------------------------------------------------------------- scaffolds

Answer = Draft | str | Exception | BaseException | None


class ToldProposer(Proposer):
    """Writes what ``write(order, attempt)`` returns (code, or a whole draft), and raises what it returns.

    ``answered`` counts, for each scaffold and attempt, the drafts that it has given.
    """

    def __init__(self, write: Callable[[Order, int], Answer], event: Event = nothing) -> None:
        self.write = write
        self.event = event
        self.answered: Counter[tuple[str, int]] = Counter()
        self.problems: list[tuple[str, str]] = []
        self.orders: list[Order] = []
        self.closed = 0
        self._attempts: Counter[str] = Counter()

    def propose(self, order: Order) -> Draft:
        self.orders.append(order)
        draft = self._draft(order, 0)
        assert draft is not None
        return draft

    def repair(self, order: Order, draft: Draft, problem: str) -> Draft | None:
        self.problems.append((order.scaffold_id, problem))
        return self._draft(order, draft.notes["attempt"] + 1)

    def _draft(self, order: Order, attempt: int) -> Draft | None:
        self.event("propose")
        answer = self.write(order, attempt)
        if isinstance(answer, BaseException):
            raise answer
        self.answered[order.scaffold_id, attempt] += 1
        if isinstance(answer, str):
            answer = Draft(code=answer)
        return answer and answer.model_copy(update={"notes": {**answer.notes, "attempt": attempt}})

    def close(self) -> None:
        self.closed += 1


# ---------------------------------------------------------------- experiments


def numbers(start: int, count: int, prefix: str) -> tuple[Example, ...]:
    """Examples whose answer is their input; ids start with ``prefix``."""
    return tuple(
        Example(id=f"{prefix}{n}", input=str(n), fields={"answer": str(n)}) for n in range(start, start + count)
    )


DATA = {"train": numbers(1000, 5, "t"), "valid": numbers(100, 10, "v"), "test": numbers(500, 10, "x")}


def experiment(
    folder: Path,
    given: Sequence[str] = (),
    data: dict[str, tuple[Example, ...]] | None = None,
    proposer: dict[str, Any] | None = None,
    **fields: Any,
) -> ExperimentFileManager:
    """An experiment with these scaffolds (their code), made as the command makes it."""
    data = DATA if data is None else data
    record = {
        "name": "exp",
        "task": "Say the number.",
        "data": {split: {"path": f"{split}.jsonl"} for split in data},
        "scorer": {"name": "exact", "field": "answer"},
        "scaffolds": tuple(f"given{index}" for index in range(len(given))),
        "proposer": {"name": "told"} if proposer is None else proposer,
        "executor": {"model": "sim/echo"},
        "sandbox": "fake",
        **fields,
    }
    now = datetime(2026, 1, 1, tzinfo=UTC)
    scaffolds = tuple(
        ScaffoldResult(code=text, metadata=ScaffoldMetadata(created_at=now, source=f"given{index}"))
        for index, text in enumerate(given)
    )
    prepared = Prepared(
        loaded=LoadedSpec(ExperimentSpec.model_validate(record), folder, "spec.yaml"),
        spec_path=folder / "spec.yaml",
        overrides=(),
        data=data,
        scaffolds=scaffolds,
        scorer_source=None,
        model_scripts={},
        proposer_files={},
        warnings=(),
    )
    return create(prepared, folder, None)


class Session:
    """One go at an experiment."""

    def __init__(self, files: ExperimentFileManager, proposer: Proposer | None, event: Event = nothing) -> None:
        self.talk = Talk()
        session = files.begin()
        self.queue = WorkerQueue(files, event, session)
        self.loop = Loop(files, self.queue, self.talk, proposer, session=session)

    def run(self) -> list[Details]:
        """The details of all iterations."""
        return self.loop.run()


def left_behind(files: ExperimentFileManager) -> dict[str, bytes]:
    """What must be the same however often an experiment was stopped: its scaffolds' code and its scoring files."""
    root = Path(str(files))
    paths = [*root.glob("scaffolds/*/scaffold.py"), *root.glob("scoring/*")]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(paths)}
