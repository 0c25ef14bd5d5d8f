"""Progress as plain lines, for files, pipes and CI."""

from coordinator.report.base import Summary
from coordinator.report.reporter import ProgressReporter, progress_line
from coordinator.report.words import plural
from shared.models import Plan

SHARE = 0.1
SECONDS = 10.0


class PlainReporter(ProgressReporter):
    """A line for every tenth of the runs, and every ten seconds if something was finished in them."""

    _shown_done = 0
    _shown_at = float("-inf")

    def iteration_started(self, plan: Plan) -> None:
        super().iteration_started(plan)
        scaffolds, examples = plural(len(plan.scaffolds), "scaffold"), plural(len(plan.runs), "example")
        self.say(f"{plural(len(plan), 'run')}: {scaffolds} on {examples} each.")
        self._shown_done, self._shown_at = 0, self._clock()

    def tick(self) -> None:
        progress, now = self.progress, self._clock()
        fresh = progress.done - self._shown_done
        if fresh and (fresh >= SHARE * progress.total or now - self._shown_at >= SECONDS):
            self._show(now)

    def finished(self, summary: Summary) -> None:
        if self.progress.done > self._shown_done:
            self._show(self._clock())
        super().finished(summary)

    def _show(self, now: float) -> None:
        self._shown_done, self._shown_at = self.progress.done, now
        self.say(progress_line(self.progress, now))
