"""Getting an iteration's jobs done: enqueue a window of them, listen for receipts, try again what our side failed."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from coordinator.job_queue import JobQueue
from coordinator.lost import LOOK_SECONDS, UNBEGUN_MOST, Lookout
from coordinator.report.base import Reporter
from shared.error_words import describe
from shared.errors import Cancelled, OutOfBudget
from shared.file_manager import ExperimentFileManager
from shared.leases import LEASE_SECONDS
from shared.models import Job, Plan, Receipt, RunResult, Status

RETRY_DELAYS = (2.0, 20.0)
"""Seconds before a job that our own machinery failed is tried again; after as many retries it is quarantined."""
TROUBLE_GROWTH, TROUBLE_MOST = 1.5, 60.0
"""How much longer each attempt that a host's trouble took is waited after than the one before, and seconds at most."""
MOST_ATTEMPTS = 20
"""Attempts in all. Those that a host's trouble took are no failures of the job's; but there must be an end."""
REFUSED_SECONDS = 5.0
"""Before a job's next step is tried again that the volume did not take."""
SMALLEST_WINDOW = 8
"""Jobs on the queue at once, at least; else four for each of the workers' slots.

Another experiment's jobs come behind these, so the window is as small as keeps the workers busy.
"""

LOST_RUN = Receipt(status=Status.INFRA_ERROR, error_message="The worker that had taken the run is gone.")
LOST_MESSAGE = Receipt(status=Status.INFRA_ERROR, error_message="The job was lost before a worker had begun it.")


def _unbounded() -> str | None:
    return None


def _always(job: Job, attempt: int) -> bool:
    return True


@dataclass(frozen=True)
class FollowUp:
    """What is to come after a failed attempt: another, or (not ``again``) quarantine."""

    attempt: int
    receipt: Receipt
    again: bool


@dataclass
class Dispatch:
    """One iteration's dispatch. ``stall_after``: seconds of silence after which receipts are taken for lost.

    ``no_more`` says why no further run may start (the budget is used up), or None while one may. ``begun``: whether
    the volume knows of an attempt that somebody began it; asked when one is given up that was not seen to be run.
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
    begun: Callable[[Job, int], bool] = _always
    session: int = 1
    """The number that attempts are sent under."""
    _outstanding: dict[Job, int] = field(default_factory=dict)
    """The attempt of each job that is under way, or that follows the one that failed."""
    _follow_ups: dict[Job, FollowUp] = field(default_factory=dict)
    """What comes after the last attempt of those jobs whose next step is due."""
    _due: list[tuple[float, Job]] = field(default_factory=list)
    """When which outstanding job's failed attempt is to be given up, and the job tried again or quarantined."""
    _heard: float = 0.0
    _complained: float = 0.0
    """When the silence was last looked into."""
    _refusal_told: float = -math.inf
    _silences: int = 0
    _look_due: float = 0.0
    _lookout: Lookout = field(default_factory=Lookout)
    _failures: Counter[Job] = field(default_factory=Counter)
    """How many tries each outstanding job has had in vain, those not counted that its host's trouble took."""
    _unbegun: Counter[Job] = field(default_factory=Counter)
    """How many of its messages were lost before anybody had begun."""
    _stopped: str | None = None
    """Why nothing is sent any more."""

    def run(self, jobs: Iterator[Job]) -> None:
        """Bring every job to a committed result or into quarantine.

        Raises OutOfBudget where the budget ended that early: then nothing more was started, what was under way has
        ended, and jobs without a result are left for a session with more to spend.
        """
        self._heard = self._complained = self.clock()
        self._look_due = self._heard + LOOK_SECONDS
        more = True
        while more or self._outstanding:
            more = more and self._fill_window(jobs)
            for job, attempt, receipt in self.queue.receive(timeout=0.25) if self._outstanding else ():
                self._receive(job, attempt, receipt)
            if self.queue.interrupted():
                self._look_around()
            self._send_due()
            self.reporter.outstanding(len(self._outstanding))
            self.reporter.tick()
            self._mind_the_lost()
            self._mind_silence()
        self.reporter.runs_dropped(self.files.dropped_count())
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
        for entry in [entry for entry in self._due if self._follow_ups[entry[1]].again]:
            self._due.remove(entry)
            self._let_go(entry[1])

    def _window(self) -> int:
        return max(SMALLEST_WINDOW, 4 * self.queue.slots)

    def _send(self, job: Job, attempt: int) -> None:
        self._outstanding[job] = attempt
        self.queue.send(job, attempt)

    def _receive(self, job: Job, attempt: int, receipt: Receipt) -> None:
        self._heard = self.clock()
        self._silences = 0
        current = self._outstanding.get(job)
        if receipt.superseded:
            self.reporter.runs_dropped(self.files.dropped_count())
        if current is None or (current != attempt and not receipt.status.counts):
            return  # a receipt that came twice, or the failure of an attempt that was given up
        if receipt.cancelled:
            raise Cancelled(f"{self.plan.experiment} was cancelled.")
        self._settle(job, attempt, receipt)

    def _settle(self, job: Job, attempt: int, receipt: Receipt, *, lost: bool = False) -> None:
        """Take a receipt for what became of the attempt; one that is ``lost`` is followed after the shortest delay."""
        if not receipt.status.counts:
            # Another delivery of the same job may have committed meanwhile, and then that is what counts.
            committed = self.files.load_result(job)
            receipt = Receipt.of(committed) if committed else receipt
        self._due = [entry for entry in self._due if entry[1] != job]
        if receipt.status.counts:
            self._let_go(job)
            release(self.files, job)
            self.reporter.run_finished(job, receipt)
        elif receipt.out_of_budget:
            self._let_go(job)
            self._stop(receipt.error_message or "The budget is used up.")
        elif attempt >= MOST_ATTEMPTS or is_spent(self._failures[job] + (not receipt.host_trouble), self.retry_delays):
            self._put_off(job, FollowUp(attempt, receipt, again=False), 0.0)
        else:
            self._failures[job] += not receipt.host_trouble
            self._try_again(job, attempt, receipt, self._delay(job, attempt, receipt, lost))

    def _delay(self, job: Job, attempt: int, receipt: Receipt, lost: bool) -> float:
        """Seconds before a failed job's next attempt."""
        if receipt.host_trouble:
            return trouble_delay(attempt, self.retry_delays)
        # Whoever had a lost one was silent for long: there is nothing more to be waited for.
        return self.retry_delays[0 if lost else self._failures[job] - 1]

    def _try_again(self, job: Job, attempt: int, receipt: Receipt, delay: float) -> None:
        if self._stopped is not None:  # it is left as it is, like all that was not started
            self._let_go(job)
            return
        self.reporter.run_retried(job, receipt)
        self._put_off(job, FollowUp(attempt, receipt, again=True), delay)

    def _put_off(self, job: Job, follow_up: FollowUp, seconds: float) -> None:
        """Have what follows a failed attempt done in so many seconds."""
        self._outstanding[job] = follow_up.attempt + 1
        self._follow_ups[job] = follow_up
        self._due.append((self.clock() + seconds, job))

    def _let_go(self, job: Job) -> None:
        """Wait for it no more."""
        del self._outstanding[job]
        for kept in (self._follow_ups, self._failures, self._unbegun):
            kept.pop(job, None)

    def _send_due(self) -> None:
        now = self.clock()
        for due, job in [entry for entry in self._due if entry[0] <= now]:
            if (due, job) in self._due and (not self._follow_ups[job].again or self._may_start()):
                self._due.remove((due, job))
                self._follow_up(job)

    def _follow_up(self, job: Job) -> None:
        """The next attempt, or quarantine, once no earlier attempt can commit any more, and none is found to have."""
        after = self._follow_ups[job]
        try:
            self.files.give_up(job, after.attempt, self.session)
            committed = self.files.load_result(job)
            if committed is None and not after.again:
                self.files.quarantine(quarantine_record(self.plan, job, after.attempt, after.receipt))
        except OSError as error:
            self._refused(job, error)
            return
        if committed is not None:
            self._settle(job, after.attempt, Receipt.of(committed))
        elif after.again:
            del self._follow_ups[job]
            self._heard = self.clock()
            self._send(job, after.attempt + 1)
        else:
            self._let_go(job)
            self.reporter.run_quarantined(job, after.receipt)

    def _refused(self, job: Job, error: OSError) -> None:
        """The volume does not take what must be there before a job goes on: wait for it."""
        now = self.clock()
        self._due.append((now + REFUSED_SECONDS, job))
        if now - self._refusal_told > 10:
            self._refusal_told = now
            self.on_complaint(f"{describe(error)[0]} Until then no failed run is tried again.")

    def _mind_silence(self) -> None:
        now = self.clock()
        complaint = None
        # Also while other jobs are due: those that the volume refuses stay so for as long as it does.
        if now - self._heard > 10 and now - self._complained > 10 and self._silent():
            self._complained = now
            complaint = self.queue.complaint()
            if complaint:
                self.on_complaint(complaint)
        if complaint:
            self._heard = now  # no job can be lost while nobody takes one
        elif self.queue.accounts:
            return  # who is silent waits, or is at work
        elif self._outstanding and now - self._heard > self.stall_after * 2**self._silences:
            self._give_up_waiting(now - self._heard)

    def _mind_the_lost(self) -> None:
        """Attempts that neither wait nor are run went down with whoever had taken them, or with the broker."""
        now = self.clock()
        if now < self._look_due:
            return
        sightings = self.queue.sightings(self._silent())
        # On time, however long this loop's turns take; no two at once after a standstill; a tenth of our time at most.
        after = self.clock()
        self._look_due = max(self._look_due + LOOK_SECONDS, now + LOOK_SECONDS / 2, after + 9 * (after - now))
        if sightings is None:
            self._lookout.forget()
            return
        for (job, attempt), seen in self._lookout.look(sightings).items():
            self._give_up(job, attempt, seen)

    def _give_up(self, job: Job, attempt: int, seen: bool) -> None:
        """An attempt that is lost costs a try, unless nobody had begun it: then no job of its own is to blame."""
        committed = self.files.load_result(job)
        if committed is not None:
            self._settle(job, attempt, Receipt.of(committed))
        elif seen or self.begun(job, attempt) or self._unbegun[job] >= UNBEGUN_MOST:
            self._settle(job, attempt, LOST_RUN, lost=True)
        else:
            self._unbegun[job] += 1
            self._try_again(job, attempt, LOST_MESSAGE, 0.0)

    def _look_around(self) -> None:
        """Settle what was committed while no receipt could come; the silence of the others counts from now.

        Leases could not be renewed meanwhile, so they are given as long as one lasts before they are looked at again.
        """
        self._heard = self._complained = self.clock()
        self._look_due = self._heard + LEASE_SECONDS + LOOK_SECONDS
        self._lookout.forget()
        for job, attempt in self._silent():
            committed = self.files.load_result(job)
            if committed is not None:
                self._settle(job, attempt, Receipt.of(committed))

    def _give_up_waiting(self, seconds: float) -> None:
        """Look on the volume for what came of the silent jobs; those that nothing came of have failed an attempt."""
        self._heard = self.clock()
        self._silences += 1  # jobs of other experiments may be in front of ours: be more patient next time
        lost = Receipt(status=Status.INFRA_ERROR, error_message=f"Nothing was heard of the run for {seconds:.0f} s.")
        for job, attempt in self._silent():
            self._settle(job, attempt, lost)

    def _silent(self) -> list[tuple[Job, int]]:
        """The jobs that a receipt may come of, with the number of the attempt."""
        due = {job for _, job in self._due}
        return [(job, attempt) for job, attempt in self._outstanding.items() if job not in due]


def is_spent(failures: int, retry_delays: tuple[float, ...]) -> bool:
    """Whether a job that failed so often by our own machinery's doing is tried no more."""
    return failures > len(retry_delays)


def trouble_delay(attempt: int, retry_delays: tuple[float, ...]) -> float:
    """Seconds before the next attempt after one that a host's trouble took: all 20 of them outlast a reboot."""
    return float(min(TROUBLE_MOST, retry_delays[0] * TROUBLE_GROWTH ** (attempt - 1)))


def release(files: ExperimentFileManager, job: Job) -> None:
    """Take a job that has a result out of quarantine; where the volume does not let it, the next session does."""
    with suppress(OSError):
        files.release(job)


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
