"""One look at an experiment's whole directory. Changes nothing, and reads one record at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from coordinator.report.words import command, plural
from coordinator.verify import structure
from coordinator.verify.flaw import Fault, Flaw
from coordinator.verify.records import RecordCheck
from coordinator.verify.scoring import ScoringCheck
from shared.errors import CorruptFile
from shared.file_manager import ExperimentFileManager
from shared.inventory import RECORDS, Kind, Place
from shared.models import Plan


@dataclass
class Check:
    """What is amiss in an experiment's directory, piece by piece, and how much there is of what.

    ``going_on``: whether a session is at work on it, whose files are still being written.
    """

    files: ExperimentFileManager
    going_on: bool = False
    unchecked: list[int] = field(default_factory=list)
    """The iterations whose scoring files could not be made again, for what they are made of is not sound."""
    missing: int = 0
    """Planned runs without a result."""
    damaged: list[Place] = field(default_factory=list)
    """The records of planned jobs that are not what was written."""

    @cached_property
    def records(self) -> RecordCheck:
        """The check of results and quarantined runs, with its counts."""
        return RecordCheck(self.files, set())

    @cached_property
    def scoring(self) -> ScoringCheck:
        """The check of scoring files, with its count."""
        return ScoringCheck(self.files, self.going_on)

    def everything(self) -> Iterator[Flaw]:
        """All that is amiss, leftovers and what is still to be done included."""
        newer = False
        for flaw in self.foundations():
            newer = newer or (flaw.fault is Fault.NEWER and flaw.file == "metadata.json")
            yield flaw
        if newer:
            return  # what else lies here is that version's to judge
        for place in self.files.places():
            if place.kind in RECORDS.values():
                yield from self.record(place)
            else:
                yield from self._other(place)
        yield from self._progress()

    def foundations(self) -> Iterator[Flaw]:
        """What is amiss in what the experiment stands on: metadata, data, plans and scaffolds."""
        metadata = structure.metadata_of(self.files)
        if isinstance(metadata, Flaw):
            yield metadata
            if metadata.fault is Fault.NEWER:
                return
        else:
            yield from structure.data_flaws(self.files, metadata)
            yield from structure.script_flaws(self.files, metadata)
        yield from structure.link_flaws(self.files)
        yield from self._readable(structure.scaffold_flaws(self.files), "scaffolds")
        yield from self._readable(self._plans(), "plans")

    def _readable(self, flaws: Iterator[Flaw], folder: str) -> Iterator[Flaw]:
        try:
            yield from flaws
        except OSError as error:
            yield Flaw.of(error, folder, str(self.files))

    def _plans(self) -> Iterator[Flaw]:
        known = set(self.files.scaffold_ids())
        try:
            data = self.files.load_data()
        except (CorruptFile, OSError):
            data = {}  # said already
        found = self.files.plan_iterations()
        for iteration in sorted({*range(max(len(found), 1)), *found}):
            flaws = list(structure.plan_flaws(self.files, iteration))
            yield from flaws
            if not flaws:
                self.records.plans.add(iteration)
                plan = self.files.load_plan(iteration)
                yield from structure.example_flaws(plan, data)
                yield from structure.planned_scaffold_flaws(plan, known)
                yield from self._gone(plan)

    def _gone(self, plan: Plan) -> Iterator[Flaw]:
        for flaw in structure.gone_flaws(self.files, plan):
            self.records.broken.add(plan.iteration)
            yield flaw

    def record(self, place: Place) -> Iterator[Flaw]:
        """What is amiss with one result or quarantined run."""
        for flaw in self.records.flaws(place):
            if flaw.fault is Fault.DAMAGED:
                self.damaged.append(place)
            yield flaw

    def _other(self, place: Place) -> Iterator[Flaw]:
        if place.kind is Kind.TEMPORARY and not self.going_on:
            problem = "A write that was cut short left it. It does no harm; remove it once nothing runs here."
            yield Flaw(fault=Fault.LEFTOVER, file=place.path, problem=problem)
        elif place.kind is Kind.STRANGER:
            problem = "Scaffoldry did not put it there, and does not look at it."
            yield Flaw(fault=Fault.LEFTOVER, file=place.path, problem=problem)
        elif place.kind is Kind.FENCE:
            yield from self._fence(place)
        elif place.kind is Kind.DRAFT and not self.going_on:
            yield from self._draft(place)
        elif place.kind in (Kind.NO_RECORD, Kind.UNREADABLE):
            self.records.unsound(place)
            yield misplaced(place)

    def _fence(self, place: Place) -> Iterator[Flaw]:
        try:
            self.files.check_fence(place.job(self.files.name))
        except (CorruptFile, OSError) as error:
            yield Flaw.of(error, place.path, str(self.files))

    def _draft(self, place: Place) -> Iterator[Flaw]:
        """An attempt that can still commit may be somebody's who is at work on it; the others are at an end."""
        session, attempt = place.turn()
        if self.files.is_done_with(place.job(self.files.name), attempt, session):
            problem = "An attempt that was cut short left it, and counts no more. It does no harm; `resume` removes it."
            yield Flaw(fault=Fault.LEFTOVER, file=place.path, problem=problem)

    def _progress(self) -> Iterator[Flaw]:
        """What is still to be done, and whether the scoring files are right as far as it is done."""
        for iteration in sorted(self.records.plans):
            planned, done = len(self.files.load_plan(iteration)), self.records.done[iteration]
            self.missing += planned - done
            if done < planned:
                problem = (
                    f"The results of {planned - done:,} of {plural(planned, 'planned run')} are still to come. "
                    f"`{command('resume', str(self.files))}` goes on."
                )
                yield Flaw(fault=Fault.INCOMPLETE, file=f"plans/{iteration}.json", problem=problem)
        for place, iteration in enumerate(iterations := sorted(self.records.plans)):
            if iteration in self.records.broken or iteration != place:
                self.unchecked = iterations[place:]
                return
            complete = self.records.done[iteration] == len(self.files.load_plan(iteration))
            yield from self.scoring.flaws(iteration, complete)


def misplaced(place: Place) -> Flaw:
    """A file among the records that is none, or a folder that cannot be looked into."""
    if place.kind is Kind.UNREADABLE:
        problem = "This user may not read the folder. Change its owner or its mode."
        return Flaw(fault=Fault.UNREADABLE, file=place.path, problem=problem)
    problem = "It is no record of a run, by its name or its kind. Take it out of the experiment."
    return Flaw(fault=Fault.FOREIGN, file=place.path, problem=problem)
