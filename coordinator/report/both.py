"""Two reporters that are told the same."""

from collections.abc import Callable

from coordinator.report.base import Reporter, Summary
from shared.models import Job, Plan, Receipt, RunResult


class Both(Reporter):
    """Tells ``first``, then ``second``."""

    def __init__(self, first: Reporter, second: Reporter) -> None:
        self._reporters = (first, second)

    def iteration_started(self, plan: Plan) -> None:
        for reporter in self._reporters:
            reporter.iteration_started(plan)

    def run_restored(self, result: RunResult) -> None:
        for reporter in self._reporters:
            reporter.run_restored(result)

    def run_finished(self, job: Job, receipt: Receipt) -> None:
        for reporter in self._reporters:
            reporter.run_finished(job, receipt)

    def run_retried(self, job: Job, receipt: Receipt) -> None:
        for reporter in self._reporters:
            reporter.run_retried(job, receipt)

    def run_quarantined(self, job: Job, receipt: Receipt) -> None:
        for reporter in self._reporters:
            reporter.run_quarantined(job, receipt)

    def queue_opened(self, waiting: Callable[[], int | None]) -> None:
        for reporter in self._reporters:
            reporter.queue_opened(waiting)

    def outstanding(self, jobs: int) -> None:
        for reporter in self._reporters:
            reporter.outstanding(jobs)

    def runs_dropped(self, runs: int) -> None:
        for reporter in self._reporters:
            reporter.runs_dropped(runs)

    def say(self, message: str) -> None:
        for reporter in self._reporters:
            reporter.say(message)

    def tick(self) -> None:
        for reporter in self._reporters:
            reporter.tick()

    def finished(self, summary: Summary) -> None:
        for reporter in self._reporters:
            reporter.finished(summary)

    def close(self) -> None:
        for reporter in self._reporters:
            reporter.close()
