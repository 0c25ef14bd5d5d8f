"""The scoring files: made again from the results by what the coordinator makes them with, and compared."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from coordinator.aggregate import History, holds_all, iteration_details, lags, mean_scores
from coordinator.report.words import command
from coordinator.selection import with_iteration
from coordinator.verify.flaw import Fault, Flaw
from shared.errors import CorruptFile
from shared.file_manager import ExperimentFileManager
from shared.records import model_bytes, scores_bytes


@dataclass
class ScoringCheck:
    """Checks the iterations in their order: each iteration's leaders are of all before it."""

    files: ExperimentFileManager
    going_on: bool
    """Whether a session is at work: then what differs may just have been made anew."""
    right: int = 0
    """Files that are what the results come to."""
    _history: History = field(default_factory=dict)
    _stale: bool = False
    """Whether an earlier iteration's files were of a time before its last results: then those after it are, too."""

    def flaws(self, iteration: int, complete: bool) -> Iterator[Flaw]:
        """What is wrong with an iteration's two files. ``complete``: whether every planned run has a result."""
        details = iteration_details(self.files, iteration, self._history)
        self._history = with_iteration(self._history, iteration, details.splits.get("valid", {}).items())
        self._stale = self._stale or self._is_older(iteration, complete)
        expected = {"scores": scores_bytes(mean_scores(details)), "details": model_bytes(details)}
        for kind, data in expected.items():
            file = f"scoring/{kind}_{iteration}.json"
            try:
                found = self.files.read_scoring(kind, iteration)
            except OSError as error:
                yield Flaw.of(error, file, str(self.files))
                continue
            if found == data:
                self.right += 1
            else:
                yield self._difference(file, found)

    def _difference(self, file: str, found: bytes | None) -> Flaw:
        anew = f"`{command('resume', str(self.files))}` makes it anew."
        if found is None:
            return Flaw(fault=Fault.INCOMPLETE, file=file, problem=f"It was not made yet. {anew}")
        if self._stale or self.going_on:
            problem = f"It is of a time before the last results. {anew}"
            return Flaw(fault=Fault.INCOMPLETE, file=file, problem=problem)
        return Flaw(fault=Fault.WRONG, file=file, problem=f"It is not what the results come to. {anew}")

    def _is_older(self, iteration: int, complete: bool) -> bool:
        """Whether the files were made before the results that are there now, as where a session was killed."""
        try:
            saved = self.files.load_details(iteration)
        except FileNotFoundError:
            return True
        except (CorruptFile, OSError):
            return False
        plan = self.files.load_plan(iteration)
        return lags(self.files, plan, saved) if complete else not holds_all(self.files, plan, saved)
