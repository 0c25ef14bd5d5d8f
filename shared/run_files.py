"""What is kept of runs: attempts under way, results, and logs."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from shared.drafts import Draft, Drafts, Turn
from shared.experiment_folder import ExperimentFolder
from shared.models.ids import check_experiment_name, check_iteration, check_run_type, check_scaffold_id
from shared.models.job import Job
from shared.models.result import RunResult
from shared.records import read_from
from shared.results import Results
from shared.run_log import RunLog


class RunFiles(ExperimentFolder):
    """The runs of one experiment. Each counts once."""

    def __init__(self, experiment_dir: Path) -> None:
        super().__init__(experiment_dir)
        self._results = Results(self._dir / "results", self._root)
        self._quarantine = Results(self._dir / "quarantine", self._root)
        self._drafts = Drafts(self._dir, self._root, self._results)

    @property
    def name(self) -> str:
        """The experiment's name: that of its directory."""
        return check_experiment_name(self._dir.absolute().name)

    def begin_attempt(self, job: Job, attempt: int, session: int = 1) -> Draft:
        """A place for one delivery of that attempt to work in, as a context; its result is committed from there.

        Raises Superseded where the attempt has been given up, and CorruptFile.
        """
        return self._drafts.begin(job, Turn(session, attempt))

    def was_begun(self, job: Job, attempt: int, session: int = 1) -> bool:
        """Whether somebody has begun that attempt of that session, and has neither ended it nor been given up."""
        return self._drafts.has(job, Turn(session, attempt))

    def give_up(self, job: Job, attempt: int, session: int = 1) -> None:
        """Void the job's attempts up to that one of that session, and that one: none of them can commit from now on.

        One may have done so before: whoever calls this looks for a result afterwards.
        """
        self._drafts.give_up(job, Turn(session, attempt))

    def check_fence(self, job: Job) -> None:
        """Raise CorruptFile where the fence before the job's attempts is not what was written."""
        self._drafts.fence(job)

    def is_done_with(self, job: Job, attempt: int, session: int) -> bool:
        """Whether that attempt of that session can commit no more: another has, or it was given up."""
        return self._drafts.is_done_with(job, Turn(session, attempt))

    def dropped_count(self) -> int:
        """How many runs of all sessions were done and dropped, because another counts or they had been given up."""
        return self._drafts.dropped()

    def make_results_durable(self, iteration: int, scaffold_ids: Iterable[str]) -> None:
        """Have the committed results of those scaffolds survive a power cut, before anything rests on them.

        Until then one may take some seconds' results with it, whose jobs are then done again: to wait for the disk once
        more for each run would cost more than that.
        """
        for scaffold_id in scaffold_ids:
            self._results.make_durable(iteration, scaffold_id)

    def commit_result(self, result: RunResult) -> bool:
        """Commit a result that no attempt is made for, once: False if the job has one already, which then stays."""
        return self._results.add(result)

    def replace_result(self, result: RunResult) -> None:
        """Put a re-scored result in the place of the committed one."""
        self._results.put(result)

    def load_result(self, job: Job) -> RunResult | None:
        """The job's committed result; None where there is none."""
        return self._results.load(job)

    def is_committed(self, job: Job) -> bool:
        """Whether the job has a committed result."""
        return self._results.has(job)

    def committed_run_types(self, iteration: int, scaffold_id: str) -> list[str]:
        """The run types of a scaffold that have a committed result, in order."""
        return self._results.run_types(iteration, scaffold_id)

    def results(self, iteration: int, scaffold_id: str) -> Iterator[RunResult]:
        """The committed results of a scaffold in the order of their run types, read one at a time."""
        for run_type in self.committed_run_types(iteration, scaffold_id):
            job = Job(experiment=self.name, iteration=iteration, scaffold_id=scaffold_id, run_type=run_type)
            result = self.load_result(job)
            if result is not None:
                yield result

    def quarantine(self, result: RunResult) -> None:
        """Keep why a job has no result: its last attempt, an ``infra_error``. A later attempt replaces it."""
        self._quarantine.put(result)

    def release(self, job: Job) -> None:
        """Take a job out of quarantine."""
        self._quarantine.remove(job)

    def load_quarantined(self, job: Job) -> RunResult | None:
        """The last failed attempt of a quarantined job; None where it is not in quarantine."""
        return self._quarantine.load(job)

    def quarantined_run_types(self, iteration: int, scaffold_id: str) -> list[str]:
        """The quarantined run types of a scaffold, in order."""
        return self._quarantine.run_types(iteration, scaffold_id)

    def quarantined_count(self, iteration: int) -> int:
        """How many runs of an iteration are in quarantine, trials of proposed scaffolds among them."""
        return self._quarantine.count(iteration)

    # ------------------------------------------------------------------ logs

    def open_log(self, iteration: int, scaffold_id: str, run_type: str) -> RunLog:
        """The run's log, to be written at its end."""
        path = self._log_file(iteration, scaffold_id, run_type)
        try:
            return RunLog(path.open("ab", buffering=0))
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            return RunLog(path.open("ab", buffering=0))

    def read_log(self, iteration: int, scaffold_id: str, run_type: str, offset: int = 0) -> tuple[str, int]:
        """The log's text from byte ``offset``, and the offset of its end. Raises FileNotFoundError if there is none."""
        return read_from(self._log_file(iteration, scaffold_id, run_type), offset, f"There is no log of {run_type}")

    def _log_file(self, iteration: int, scaffold_id: str, run_type: str) -> Path:
        name = f"{check_run_type(run_type)}.log"
        return self._dir / "logs" / str(check_iteration(iteration)) / check_scaffold_id(scaffold_id) / name
