"""An experiment's plans as read on this host, while they grow on another."""

import os
from pathlib import Path
from typing import BinaryIO

from shared import atomic, fresh
from shared.errors import InfraError
from shared.models.example import Example
from shared.models.ids import check_iteration
from shared.models.job import Job
from shared.models.plan import Plan
from shared.records import validated

KEPT = 2
"""Plans in memory: an iteration's own and one more. A worker sees every iteration, and would come to hold them all."""

_Version = tuple[int, int, int]


class Plans:
    """Reads plans from a folder within ``root``; each is parsed again only when its file has changed.

    The plans used last are kept in memory.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder = folder
        self._root = root
        self._kept: dict[int, tuple[_Version, Plan]] = {}

    def path(self, iteration: int) -> Path:
        """Where an iteration's plan lies."""
        return self._folder / f"{check_iteration(iteration)}.json"

    def load(self, iteration: int) -> Plan:
        """An iteration's plan. Raises FileNotFoundError if there is none, CorruptFile."""
        path = self.path(iteration)
        try:
            return fresh.freshly(lambda: self._load(iteration, path), path, self._root)
        except FileNotFoundError:
            raise FileNotFoundError(f"There is no plan of iteration {iteration}: {path} does not exist.") from None

    def example(self, job: Job) -> Example:
        """The example that a job is about. Raises InfraError where the plan, as it is shown here, has none."""
        plan = self.load(job.iteration)
        if job.run_type not in plan.runs:  # it grew after this host's volume was shown it
            self._kept.pop(job.iteration, None)
            fresh.look_again(self.path(job.iteration), self._root)
            plan = self.load(job.iteration)
        if job.run_type not in plan.runs:
            raise InfraError(
                f"The plan of iteration {job.iteration} of {job.experiment} has no run {job.run_type} as this host "
                "sees it: the volume shows it an old file, or another volume (see docs/multi-host.md)."
            )
        return plan.runs[job.run_type]

    def _load(self, iteration: int, path: Path) -> Plan:
        with path.open("rb") as file:  # opened first: only that asks the server whether it has changed
            version = _version(file)
            if iteration not in self._kept or self._kept[iteration][0] != version:
                plan = validated(Plan, atomic.parse_object(file.read(), path), path)
                self._kept[iteration] = (version, plan)
            self._kept[iteration] = self._kept.pop(iteration)  # now the last to go
            for oldest in list(self._kept)[:-KEPT]:
                del self._kept[oldest]
        return self._kept[iteration][1]


def _version(file: BinaryIO) -> _Version:
    status = os.fstat(file.fileno())
    # Each version is a file of its own; two of one size may be written within one tick of a coarse clock.
    return status.st_ino, status.st_mtime_ns, status.st_size
