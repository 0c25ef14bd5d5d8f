"""Running rows: a world for each row and seed, a fault-free one to compare it with, and the verdicts."""

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from coordinator.selftest.faults import FAULTS
from coordinator.selftest.faults.base import Fault
from coordinator.selftest.faults.soak import Soak
from coordinator.selftest.judge import Expected, Observed, judge
from coordinator.selftest.needs import missing
from coordinator.selftest.results import Bound, RowResult, SeedRun
from coordinator.selftest.version import code_digest, row_digest
from coordinator.selftest.witness import Ledger, read_ledger
from coordinator.selftest.workload import Workload
from coordinator.selftest.world import Overdue, World, a_world
from coordinator.verify import Check, Flaw
from shared.errors import SandboxUnavailable, ScaffoldryError, Unavailable
from shared.file_manager import ExperimentFileManager

STRAY_SECONDS = 60.0
NOT_MEASURED = Bound(holds=False, figure="not measured")
NOBODY: tuple[str, ...] = ()

Say = Callable[[str], None]


class Suite:
    """Runs rows, each in worlds of its own below ``folder``. ``mutation``: the mechanism that is switched off."""

    def __init__(
        self,
        folder: Path,
        workload: Workload,
        say: Say,
        *,
        limit: float = 600.0,
        soak_minutes: float = 30.0,
        mutation: str | None = None,
    ) -> None:
        self._folder = folder
        self._workload = workload
        self._say = say
        self._limit = limit
        self._soak_minutes = soak_minutes
        self._changes = (f"without={mutation}",) if mutation else ()
        self._quiet: dict[Workload, Ledger] = {}

    def row(self, number: int, seeds: Sequence[int]) -> RowResult:
        """A row with every seed."""
        kind = FAULTS[number]
        soak = issubclass(kind, Soak)
        result = RowResult(
            number=number,
            fault=kind.name,
            also=kind.also,
            code=code_digest(),
            suite=row_digest(number, mutated=bool(self._changes)),
            jobs=self._workload.jobs,
            sandbox=self._workload.sandbox,
            seconds=0.0 if soak else self._workload.seconds,
            minutes=self._soak_minutes if soak else None,
        )
        reason = self._missing(kind)
        if reason is not None:
            return result.model_copy(update={"not_run": reason})
        return result.model_copy(update={"runs": tuple(self._told(kind, seed) for seed in seeds)})

    def _missing(self, kind: type[Fault]) -> str | None:
        docker = self._workload.sandbox == "docker"
        if kind.containers and not docker:
            return "it is about containers, and there are none here: give --sandbox docker"
        return missing(["redis", *(["docker"] if docker else []), *kind.needs])

    def _told(self, kind: type[Fault], seed: int) -> SeedRun:
        try:
            run = self._seed(kind, seed)
        except Exception as error:  # whatever it is, the seeds and rows that follow are run
            run = SeedRun(seed=seed, bound=NOT_MEASURED, problems=(in_words(error),))
        word = "passed" if run.passed else "FAILED"
        figure = run.bound.figure if run.bound else ""
        self._say(f"row {kind.number}, seed {seed}: {word} in {run.seconds:.0f} s ({figure})")
        for problem in run.problems:
            self._say(f"    {problem}")
        return run

    def _seed(self, kind: type[Fault], seed: int) -> SeedRun:
        fault = kind()
        limit = self._limit
        if isinstance(fault, Soak):
            fault.minutes = self._soak_minutes
            limit += 120 * self._soak_minutes
        workload = fault.adapt(self._workload.model_copy(update={"seed": seed}))
        quiet = self.quiet(fault.quiet(workload), limit)
        with self._world(workload, limit) as world:
            world.changes = self._changes
            observed = self._break(world, fault, seed)
            found = _ledger(world)
            bound, but_for = NOT_MEASURED, NOBODY
            if not observed.trouble and found is not None:
                bound, but_for, trouble = _measured(fault, world, found)
                observed = observed.model_copy(
                    update={"flaws": _flaws(world), "kept": _kept(world, observed.leftovers), "trouble": trouble}
                )
            expected = Expected(run_types=workload.run_types, quiet=quiet, but_for=but_for)
            return judge(seed, found or EMPTY, expected, observed, bound)

    def quiet(self, workload: Workload, limit: float) -> Ledger:
        """What a workload comes to where nothing is broken; run once.

        Raises Unavailable where it does not end well, or not within ``limit`` seconds.
        """
        if workload not in self._quiet:
            began = time.monotonic()
            with self._world(workload, limit) as world:
                try:
                    world.start()
                    world.wait_for(lambda: world.coordinator.exit_code is not None)
                except Overdue:
                    raise Unavailable(
                        f"The fault-free run of {workload.jobs} jobs took longer than {limit:.0f} s: a busy machine?"
                    ) from None
                code, found = world.coordinator.exit_code, _ledger(world)
                if code != 0 or found is None:
                    raise Unavailable(
                        f"The fault-free run ended with {code}, so there is nothing to compare with: "
                        f"{world.coordinator.said()[-500:].strip()}"
                    )
            self._quiet[workload] = found
            self._say(f"fault-free run of {workload.jobs} jobs, seed {workload.seed}: {time.monotonic() - began:.0f} s")
        return self._quiet[workload]

    def _break(self, world: World, fault: Fault, seed: int) -> Observed:
        began = time.monotonic()
        trouble: list[str] = []
        try:
            fault.set_up(world)
            world.changes = (*self._changes, *(one for one in world.changes if one not in self._changes))
            world.start()
            world.on_tick(world.supervise)
            world.wait_for(lambda: world.known_experiment() is not None or world.coordinator.exit_code is not None)
            fault.harm(world, random.Random(f"{fault.number} {seed}"))
            world.wait_for(lambda: world.coordinator.exit_code is not None)
        except Exception as error:  # whatever it is, what became of the runs is looked at all the same
            trouble.append(in_words(error))
        code = world.coordinators[-1].exit_code if world.coordinators else None
        seconds = time.monotonic() - began
        strays, leftovers = _left_over(world) if world.known_experiment() else ((), ())
        return Observed(
            exit_code=code,
            changed=_changed(world),
            strays=strays,
            overstayed=world.attendance.end(),
            leftovers=leftovers,
            trouble=tuple(trouble),
            seconds=seconds,
        )

    @contextmanager
    def _world(self, workload: Workload, limit: float) -> Iterator[World]:
        folder = Path(tempfile.mkdtemp(prefix="", dir=self._folder))
        name = f"{self._folder.name}-{folder.name}"
        with a_world(folder, name, workload, limit) as world:
            yield world


EMPTY = Ledger(results={}, attempts={}, quarantined=(), scoring={}, counted=0, torn=(), temporary=())


def _ledger(world: World) -> Ledger | None:
    known = world.known_experiment()
    return None if known is None else read_ledger(known)


def _changed(world: World) -> tuple[str, ...]:
    if world.watch.is_alive():
        world.watch.end()
    return tuple(sorted(world.watch.changed))


def _measured(fault: Fault, world: World, found: Ledger) -> tuple[Bound, tuple[str, ...], tuple[str, ...]]:
    """A row's own bound, the runs that it excuses, and what went wrong with finding these out."""
    try:
        return fault.bound(world, found), fault.but_for(world), ()
    except Exception as error:
        return NOT_MEASURED, NOBODY, (in_words(error),)


def in_words(error: Exception) -> str:
    """An error as a sentence of the table."""
    if isinstance(error, ScaffoldryError):
        return str(error)
    return f"An unexpected {type(error).__name__}: {str(error).rstrip('.')}."


def _left_over(world: World) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The strays and the temporary files that are still there a minute after the end, while the workers go on."""
    deadline = time.monotonic() + STRAY_SECONDS
    while True:
        strays, leftovers = _strays(world), tuple(world.leftovers())
        if not (strays or leftovers) or time.monotonic() > deadline:
            return strays, leftovers
        time.sleep(1.0)


def _strays(world: World) -> tuple[str, ...]:
    try:
        return tuple(world.strays())
    except SandboxUnavailable as error:
        return (str(error),)


def _kept(world: World, known: tuple[str, ...]) -> tuple[str, ...]:
    """The temporary files, beside those ``known``, that are still there a minute after the workers' end."""
    deadline = time.monotonic() + STRAY_SECONDS
    world.stop_workers()
    while (found := set(world.leftovers()) - set(known)) and time.monotonic() < deadline:
        time.sleep(1.0)
    return tuple(sorted(found))


def _flaws(world: World) -> tuple[Flaw, ...]:
    """What ``scaffoldry verify`` finds amiss."""
    try:
        return tuple(Check(ExperimentFileManager.open(world.experiment)).everything())
    except (ScaffoldryError, OSError) as error:
        return (Flaw.of(error, ".", str(world.experiment)),)


@contextmanager
def a_suite_folder(keep: bool, say: Say) -> Iterator[Path]:
    """A folder for the worlds, with a short path: Unix sockets have bounds. Removed at the end unless it is to stay."""
    folder = Path(tempfile.mkdtemp(prefix="selftest-"))
    try:
        yield folder
    finally:
        if keep:
            say(f"What the worlds left behind is in {folder}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)
