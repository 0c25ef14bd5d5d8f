"""What is told of an experiment while it runs."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from pydantic import Field

from shared.models import Details, Job, Plan, Receipt, RunResult
from shared.models.base import Frozen


class Summary(Frozen):
    """How an experiment stands when the coordinator stops."""

    directory: str
    experiment: str
    complete: bool
    """Every planned run has a committed result."""
    quarantined: int = 0
    scorer_errors: int = 0
    interrupted: bool = False
    seconds: float = 0.0
    details: tuple[Details, ...] = ()
    """One per iteration that has scores."""
    stopped: str | None = None
    """Why it was ended early and rightly so, as a sentence: its budget is used up."""
    skipped: dict[str, str] = Field(default_factory=dict)
    """Proposed scaffolds that were never evaluated, and why."""
    dropped: int = 0
    """Runs of all sessions that were done though another counts, or had been given up: they count nowhere."""

    @property
    def exit_code(self) -> int:
        """0 complete, or ended by its budget; 1 finished with quarantined runs or scorer errors; 130 interrupted."""
        if self.interrupted:
            return 130
        ended_well = self.complete or self.stopped is not None
        return 0 if ended_well and not self.quarantined and not self.scorer_errors else 1


class Reporter(ABC):
    """Told of everything in order; shows it as it sees fit. Talk goes to stderr, data to stdout.

    A reader of either that goes away does not stop the experiment: the rest goes nowhere.
    """

    @abstractmethod
    def iteration_started(self, plan: Plan) -> None:
        """An iteration's jobs are about to be enqueued."""

    @abstractmethod
    def run_restored(self, result: RunResult) -> None:
        """A run that an earlier session committed was found."""

    @abstractmethod
    def run_finished(self, job: Job, receipt: Receipt) -> None:
        """A run was committed."""

    @abstractmethod
    def run_retried(self, job: Job, receipt: Receipt) -> None:
        """An attempt failed for a reason of our own and is made again."""

    @abstractmethod
    def run_quarantined(self, job: Job, receipt: Receipt) -> None:
        """The last attempt failed for a reason of our own."""

    @abstractmethod
    def say(self, message: str) -> None:
        """A sentence for the user (no worker is listening, the broker is gone, ...)."""

    @abstractmethod
    def tick(self) -> None:
        """Called a few times a second, so that a clock can move."""

    @abstractmethod
    def finished(self, summary: Summary) -> None:
        """The experiment is over, complete or not."""

    def queue_opened(self, waiting: Callable[[], int | None]) -> None:
        """The broker answers. ``waiting``: how many jobs wait there now, of all experiments; None while it is away."""
        return None

    def outstanding(self, jobs: int) -> None:
        """How many jobs are on the queue or running; told with every tick."""
        return None

    def runs_dropped(self, runs: int) -> None:
        """How many runs of all sessions so far were done more than once, and dropped."""
        return None

    def close(self) -> None:
        """Give the terminal back."""
        return None
