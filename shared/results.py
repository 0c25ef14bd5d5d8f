"""The records of an experiment's runs: the committed ones, and beside them the reasons of those in quarantine."""

from contextlib import suppress
from pathlib import Path

from shared import atomic, fresh
from shared.models.ids import check_iteration, check_scaffold_id, run_type_key
from shared.models.job import Job
from shared.models.result import RunResult
from shared.records import read_result, seal


class Results:
    """One record for each job, in a folder within ``root``: ``<iteration>/<scaffold_id>/<run_type>.json``.

    A record that does not parse, fails its digest or is another job's raises CorruptFile, which names the file.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder = folder
        self._root = root

    def path(self, job: Job) -> Path:
        """Where the job's record lies."""
        return self._folder / str(job.iteration) / job.scaffold_id / f"{job.run_type}.json"

    def add(self, result: RunResult) -> bool:
        """Write the job's record, once: False if it has one already, which then stays."""
        return atomic.write_first(self.path(result.job), seal(result))

    def make_durable(self, iteration: int, scaffold_id: str) -> None:
        """Have the names of a scaffold's records survive a power cut, as their bytes do since they were written."""
        with suppress(FileNotFoundError):  # it has none
            atomic.sync_directory(self._folder / str(check_iteration(iteration)) / check_scaffold_id(scaffold_id))

    def put(self, result: RunResult) -> None:
        """Write the job's record in the place of the one it may have."""
        atomic.write_file(self.path(result.job), seal(result))

    def remove(self, job: Job) -> None:
        """Remove the job's record, if it has one."""
        self.path(job).unlink(missing_ok=True)

    def load(self, job: Job) -> RunResult | None:
        """The job's record; None where it has none."""
        path = self.path(job)
        try:
            data = fresh.read(path, self._root)
        except FileNotFoundError:
            return None
        return read_result(data, path, job)

    def has(self, job: Job) -> bool:
        """Whether the job has a record."""
        return fresh.exists(self.path(job), self._root)

    def run_types(self, iteration: int, scaffold_id: str) -> list[str]:
        """The run types of a scaffold that have a record, in order."""
        directory = self._folder / str(check_iteration(iteration)) / check_scaffold_id(scaffold_id)
        names = fresh.names_in(directory, self._root)
        return sorted((name[:-5] for name in names if name.endswith(".json")), key=run_type_key)

    def count(self, iteration: int) -> int:
        """How many records an iteration has."""
        scaffold_ids = fresh.names_in(self._folder / str(check_iteration(iteration)), self._root)
        return sum(len(self.run_types(iteration, scaffold_id)) for scaffold_id in scaffold_ids)
