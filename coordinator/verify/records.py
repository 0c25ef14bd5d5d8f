"""Results and quarantined runs, one at a time: each is what was written, and belongs to a job that is planned."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from coordinator.verify.flaw import Fault, Flaw
from coordinator.verify.keys import key_problem, recomputed_key
from shared.errors import CorruptFile
from shared.file_manager import ExperimentFileManager
from shared.inventory import Kind, Place
from shared.job_key import JobKeys
from shared.models import Example, Job, Plan, RunResult, Status
from shared.models.ids import PREFLIGHT, split_of

TAKE_OUT = "Take it out of the experiment."


@dataclass
class RecordCheck:
    """Checks records in the order of their places, and counts those that are sound."""

    files: ExperimentFileManager
    plans: set[int]
    """The iterations whose plans can be read."""
    results: int = 0
    quarantined: int = 0
    done: Counter[int] = field(default_factory=Counter)
    """Iteration -> planned jobs with a result, trials not counted."""
    broken: set[int] = field(default_factory=set)
    """Iterations some of whose results are not sound: what they come to cannot be told."""
    _planned: "tuple[int, str, dict[str, Example]] | None" = None
    """The last scaffold asked for in an iteration, and what it is run on."""

    def flaws(self, place: Place) -> Iterator[Flaw]:
        """What is wrong with the record at that place, if anything."""
        job = place.job(self.files.name)
        flaw = self._flaw(place, job)
        if flaw is None:
            self._count(place, job)
        else:
            if place.kind is Kind.RESULT:
                self.broken.add(job.iteration)
            yield flaw

    def unsound(self, place: Place) -> None:
        """Note a file or a folder among the results that is none: what its iteration comes to cannot be told."""
        folder, _, rest = place.path.partition("/")
        iteration = rest.partition("/")[0]
        if folder == "results":
            self.broken.update({int(iteration)} if iteration.isdecimal() else self.plans if not rest else ())

    def _count(self, place: Place, job: Job) -> None:
        if place.kind is Kind.QUARANTINE:
            self.quarantined += 1
        else:
            self.results += 1
            self.done[job.iteration] += split_of(job.run_type) != PREFLIGHT

    def _flaw(self, place: Place, job: Job) -> Flaw | None:
        example = self._example(job)
        if example is None:
            what = "has no plan" if job.iteration not in self.plans else f"runs no {job.scaffold_id} on {job.run_type}"
            problem = f"Iteration {job.iteration} {what}: no session of this experiment made it. {TAKE_OUT}"
            return Flaw(fault=Fault.FOREIGN, file=place.path, problem=problem)
        try:
            result = self.files.examine(place)
        except (CorruptFile, OSError) as error:
            return Flaw.of(error, place.path, str(self.files))
        wrong = record_problem(place.kind, result, example)
        wrong = wrong or key_problem(result, recomputed_key(self.files, self._keys, job, example))
        return Flaw(fault=Fault.WRONG, file=place.path, problem=f"{wrong} {TAKE_OUT}") if wrong else None

    @cached_property
    def _keys(self) -> JobKeys | None:
        """None where the metadata cannot be read, which is told elsewhere."""
        try:
            return JobKeys(self.files.load_metadata())
        except (CorruptFile, OSError):
            return None

    def _example(self, job: Job) -> Example | None:
        """The example that the job is about; None where it is not planned."""
        planned = self._runs(job.iteration, job.scaffold_id)
        if job.run_type not in planned:
            self._planned = None  # a session may be at work, and its plan have grown
            planned = self._runs(job.iteration, job.scaffold_id)
        return planned.get(job.run_type)

    def _runs(self, iteration: int, scaffold_id: str) -> dict[str, Example]:
        if iteration not in self.plans:
            return {}
        if self._planned is None or self._planned[:2] != (iteration, scaffold_id):
            runs = planned_runs(self.files, self.files.load_plan(iteration), scaffold_id)
            self._planned = (iteration, scaffold_id, runs)
        return self._planned[2]


def planned_runs(files: ExperimentFileManager, plan: Plan, scaffold_id: str) -> dict[str, Example]:
    """What a scaffold is run on in an iteration: run type -> example. Its trials are part of where it comes from."""
    run_types = plan.planned(scaffold_id)
    try:
        born = files.load_scaffold_metadata(scaffold_id).iteration
    except FileNotFoundError:
        born = None
    except (CorruptFile, OSError):
        born = plan.iteration  # that is said elsewhere, and is no fault of its trials
    if born == plan.iteration:
        run_types |= set(plan.run_types(PREFLIGHT))
    return {run_type: plan.runs[run_type] for run_type in run_types}


def record_problem(kind: Kind, result: RunResult, example: Example) -> str | None:
    """What a sound record of a planned job says that it cannot say; None where it is right."""
    if result.example_id != example.id:
        return f"It is about the example {result.example_id!r}, and the plan has {example.id!r} there."
    if kind is Kind.RESULT and not result.status.counts:
        return f"It is a result, and its status is {Status.INFRA_ERROR}, which none has."
    if kind is Kind.QUARANTINE and result.status.counts:
        return f"It is in quarantine, and its status is {result.status}."
    if kind is Kind.RESULT and split_of(result.run_type) != PREFLIGHT and result.score is None:
        return f"Its status is {result.status}, and it has no score."
    return None
