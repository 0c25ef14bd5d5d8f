"""Progress as plain lines, for files, pipes and CI."""

from coordinator.report.base import Summary
from coordinator.report.reporter import ProgressReporter, progress_line
from coordinator.report.words import plural
from shared.models import Plan
from shared.models.ids import split_of

SHARE = 0.1
SECONDS = 10.0


class PlainReporter(ProgressReporter):
    """A line for every tenth of the runs, and every ten seconds if something was finished in them."""

    _shown_done = 0
    _shown_at = float("-inf")

    def iteration_started(self, plan: Plan) -> None:
        super().iteration_started(plan)
        self.say(f"{_where(plan)}{plural(len(plan), 'run')}: {_what(plan)}.")
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


def _where(plan: Plan) -> str:
    """``Iteration 2, valid: `` where there is more than one thing to tell apart."""
    splits = ", ".join(plan.assigned)
    return f"Iteration {plan.iteration}, {splits}: " if splits != "valid" or plan.iteration else ""


def _what(plan: Plan) -> str:
    """``2 scaffolds on 20 examples each``, and how often where it is not once."""
    examples = len({(split_of(run_type), example.id) for run_type, example in plan.runs.items()})
    times = max((example.repeat for example in plan.runs.values()), default=0) + 1
    often = f", {times} times" if times > 1 else ""
    return f"{plural(len(plan.scaffolds), 'scaffold')} on {plural(examples, 'example')} each{often}"
