"""What all reporters for people share: the state, and the end."""

import time
from collections.abc import Callable, Mapping
from typing import IO

from coordinator.report import words
from coordinator.report.base import Reporter, Summary
from coordinator.report.leaders import leaders_table
from coordinator.report.overview import overview_table
from coordinator.report.progress import Progress
from coordinator.report.standing import closing, standing_table
from shared.error_words import emit
from shared.models import Job, Plan, Receipt, RunResult
from shared.run_log import printable

Clock = Callable[[], float]
COMPLAINT_SECONDS = 5.0
"""The least time between two lines about attempts that our own machinery failed."""


class ProgressReporter(Reporter):
    """Keeps the progress, and prints the table and the closing lines. How the way there looks is up to subclasses.

    ``out`` gets the table, ``err`` everything else; ``names`` maps scaffold ids to what a person calls them.
    """

    def __init__(
        self, out: IO[str], err: IO[str], names: Mapping[str, str] | None = None, clock: Clock = time.monotonic
    ) -> None:
        self._out = out
        self._err = err
        self._names = names or {}
        self._clock = clock
        self._complained = float("-inf")
        self.progress = Progress()

    def iteration_started(self, plan: Plan) -> None:
        self.progress = Progress.start(plan, self._clock())

    def run_restored(self, result: RunResult) -> None:
        self.progress = self.progress.with_restored(result)

    def run_finished(self, job: Job, receipt: Receipt) -> None:
        self.progress = self.progress.with_finished(job, receipt, self._clock())

    def run_retried(self, job: Job, receipt: Receipt) -> None:
        self.progress = self.progress.with_retried()
        self._complain(f"Attempt {receipt.attempt} of {job} failed on our side and is made again", receipt)

    def run_quarantined(self, job: Job, receipt: Receipt) -> None:
        self.progress = self.progress.with_quarantined(receipt)
        if not receipt.cancelled:
            self._complain(f"Given up after {receipt.attempt} attempts: {job}", receipt)

    def say(self, message: str) -> None:
        emit(self._err, printable(message))

    def finished(self, summary: Summary) -> None:
        self.close()
        for table in self._tables(summary):
            emit(self._out, table)
        emit(self._err, "\n".join(["", *closing(summary, self.progress.notable)]))

    def _tables(self, summary: Summary) -> list[str]:
        """The scores of the one iteration there was, or the latest of all scaffolds; then the leaders."""
        if len(summary.details) == 1:
            tables = [standing_table(summary.details[0], self._names, self.progress.seconds_per_run())]
        else:
            tables = [overview_table(summary.details, self._names)] if summary.details else []
        leaders = leaders_table(summary.details, self._names)
        return [*tables, "", leaders] if leaders else tables

    def _complain(self, what: str, receipt: Receipt) -> None:
        now = self._clock()
        if now - self._complained >= COMPLAINT_SECONDS:
            self._complained = now
            self.say(f"{what}: {words.one_line(receipt.error_message or 'no reason given')}")


def progress_line(progress: Progress, now: float) -> str:
    """``75/150 runs (50%), 2.5 runs/s, about 30 s left; 3 timed out; 12,345 tokens``."""
    share = f" ({progress.done / progress.total:.0%})" if progress.total else ""
    parts = [f"{progress.done:,}/{progress.total:,} runs{share}", *pace(progress, now)]
    notes = [words.failures(progress.statuses)] if words.failures(progress.statuses) != "-" else []
    return "; ".join([", ".join(parts), *notes, *troubles(progress), *spending(progress)])


def pace(progress: Progress, now: float) -> list[str]:
    """Rate and time left, as far as they can be told."""
    rate, eta = progress.rate(now), progress.eta(now)
    if rate is None or eta is None or not progress.remaining:
        return []
    speed = f"{rate:.1f} runs/s" if rate >= 1 else f"{rate * 60:.1f} runs/min"
    return [speed, f"about {words.duration(max(round(eta), 1))} left"]


def troubles(progress: Progress) -> list[str]:
    """What went wrong on our side."""
    counts = (
        (progress.restored, "done before"),
        (progress.retried, "tried again"),
        (progress.quarantined, "given up"),
        (progress.cancelled, "cancelled"),
    )
    return [f"{count:,} {word}" for count, word in counts if count]


def spending(progress: Progress) -> list[str]:
    """Tokens and, where it is known, their cost."""
    tokens = progress.usage.input_tokens + progress.usage.output_tokens
    cost = words.dollars(progress.usage.usd or None)
    return ([f"{tokens:,} tokens"] if tokens else []) + ([cost] if cost else [])
