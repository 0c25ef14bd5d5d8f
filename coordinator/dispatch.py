"""Getting an iteration's jobs done: enqueue a window of them, listen for receipts, try again what our side failed."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from coordinator.report.base import Reporter
from shared.errors import Cancelled, OutOfBudget
from shared.file_manager import ExperimentFileManager
from shared.models import Job, Plan, Receipt, RunResult, Status

RETRY_DELAYS = (2.0, 20.0)
"""Seconds before a job that our own machinery failed is tried again; after as many retries it is quarantined."""
SMALLEST_WINDOW = 64
"""Jobs on the queue at once, at least; with many workers four for each of their slots."""

OnReceipt = Callable[[Job, int, Receipt], None]


def _unbounded() -> str | None:
    return None


class JobQueue(ABC):
    """The way to the workers. Receipts may be late, doubled or lost: the committed result is the truth."""

    @abstractmethod
    def send(self, job: Job, attempt: int) -> None:
        """Put an attempt on the queue; raises BrokerUnavailable where the broker does not take it."""

    @abstractmethod
    def receive(self, timeout: float) -> list[tuple[Job, int, Receipt]]:
        """What has come back, waiting up to ``timeout`` seconds for the first."""

    @abstractmethod
    def complaint(self) -> str | None:
        """A sentence about why nothing may be coming back (no worker is listening), or None."""


@dataclass
class Dispatch:
    """One iteration's dispatch. ``stall_after``: seconds of silence after which receipts are taken for lost.

    ``no_more`` says why no further run may start (the budget is used up), or None while one may.
    """

    files: ExperimentFileManager
    plan: Plan
    queue: JobQueue
    reporter: Reporter
    stall_after: float
    on_complaint: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    retry_delays: tuple[float, ...] = RETRY_DELAYS
    no_more: Callable[[], str | None] = _unbounded
    _outstanding: dict[Job, int] = field(default_factory=dict)
    _due: list[tuple[float, Job]] = field(default_factory=list)
    """When the next attempt of which outstanding job is to be sent."""
    _slots: dict[str, int] = field(default_factory=dict)
    _heard: float = 0.0
    _complained: float = 0.0
    _silences: int = 0
    _stopped: str | None = None
    """Why nothing is sent any more."""

    def run(self, jobs: Iterator[Job]) -> None:
        """Bring every job to a committed result or into quarantine.

        Raises OutOfBudget where the budget ended that early: then nothing more was started, what was under way has
        ended, and jobs without a result are left for a session with more to spend.
        """
        self._heard = self._complained = self.clock()
        more = True
        while more or self._outstanding:
            more = more and self._fill_window(jobs)
            for job, attempt, receipt in self.queue.receive(timeout=0.25) if self._outstanding else ():
                self._receive(job, attempt, receipt)
            self._send_due()
            self.reporter.tick()
            self._mind_silence()
        if self._stopped is not None:
            raise OutOfBudget(self._stopped)

    def _fill_window(self, jobs: Iterator[Job]) -> bool:
        """Send jobs while there is room for them; whether there may be more."""
        while len(self._outstanding) < self._window():
            job = next(jobs, None)
            if job is None or not self._may_start():
                return False
            self._send(job, attempt=1)
        return True

    def _may_start(self) -> bool:
        """Whether one more run may be sent; asked only when there is one, so that an exact budget is no early end."""
        reason = self._stopped or self.no_more()
        if reason is not None:
            self._stop(reason)
        return reason is None

    def _stop(self, reason: str) -> None:
        """Send nothing more; what only waits for another attempt is let go."""
        self._stopped = self._stopped or reason
        for _, job in self._due:
            del self._outstanding[job]
        self._due.clear()

    def _window(self) -> int:
        return max(SMALLEST_WINDOW, 4 * sum(self._slots.values()))

    def _send(self, job: Job, attempt: int) -> None:
        self._outstanding[job] = attempt
        self.queue.send(job, attempt)

    def _receive(self, job: Job, attempt: int, receipt: Receipt) -> None:
        self._heard = self.clock()
        self._slots[receipt.worker] = max(receipt.slots, 1)
        self._silences = 0
        if self._outstanding.get(job) != attempt:
            return  # a receipt that came twice, or of an attempt that was given up
        if receipt.cancelled:
            raise Cancelled(f"{self.plan.experiment} was cancelled.")
        self._settle(job, attempt, receipt)

    def _settle(self, job: Job, attempt: int, receipt: Receipt) -> None:
        if not receipt.status.counts:
            # Another delivery of the same job may have committed meanwhile, and then that is what counts.
            committed = self.files.load_result(job)
            receipt = Receipt.of(committed) if committed else receipt
        del self._outstanding[job]
        if receipt.status.counts:
            self.files.release(job)
            self.reporter.run_finished(job, receipt)
        elif receipt.out_of_budget:
            self._stop(receipt.error_message or "The budget is used up.")
        elif attempt > len(self.retry_delays):
            self.files.quarantine(quarantine_record(self.plan, job, attempt, receipt))
            self.reporter.run_quarantined(job, receipt)
        elif self._stopped is None:  # else it is left as it is, like all that was not started
            self.reporter.run_retried(job, receipt)
            self._outstanding[job] = attempt + 1
            self._due.append((self.clock() + self.retry_delays[attempt - 1], job))

    def _send_due(self) -> None:
        now = self.clock()
        for due, job in [entry for entry in self._due if entry[0] <= now]:
            if not self._may_start():
                return
            self._due.remove((due, job))
            self._heard = now
            self._send(job, self._outstanding[job])

    def _mind_silence(self) -> None:
        now = self.clock()
        complaint = None
        if now - self._heard > 10 and now - self._complained > 10 and not self._due:
            self._complained = now
            complaint = self.queue.complaint()
            if complaint:
                self.on_complaint(complaint)
        if complaint:
            self._heard = now  # no job can be lost while nobody takes one
        elif self._outstanding and now - self._heard > self.stall_after * 2**self._silences:
            self._give_up_waiting(now - self._heard)

    def _give_up_waiting(self, seconds: float) -> None:
        """Look on the volume for what came of the silent jobs; those that nothing came of have failed an attempt."""
        self._heard = self.clock()
        self._silences += 1  # jobs of other experiments may be in front of ours: be more patient next time
        lost = Receipt(status=Status.INFRA_ERROR, error_message=f"Nothing was heard of the run for {seconds:.0f} s.")
        for job, attempt in list(self._outstanding.items()):
            if all(job != waiting for _, waiting in self._due):
                self._settle(job, attempt, lost)


def quarantine_record(plan: Plan, job: Job, attempt: int, receipt: Receipt) -> RunResult:
    """Why a job has no result, in the form of one: an ``infra_error`` without a score."""
    now = datetime.now(UTC)
    return RunResult(
        **job.model_dump(),
        example_id=plan.runs[job.run_type].id,
        status=Status.INFRA_ERROR,
        score=None,
        execution_time=receipt.seconds,
        error_message=receipt.error_message,
        usage=receipt.usage,
        attempt=attempt,
        worker=receipt.worker,
        started_at=now,
        finished_at=now,
    )
