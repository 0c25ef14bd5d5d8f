"""One call of ``scaffoldry selftest``: which rows, with what, and where the figures go."""

import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import typer

from coordinator.report.json_report import json_line
from coordinator.selftest.book import Book, MutationResult, change_book, load_book
from coordinator.selftest.faults import FAULTS
from coordinator.selftest.mutations import MUTATIONS, problem
from coordinator.selftest.needs import missing
from coordinator.selftest.page import render, terminal_table
from coordinator.selftest.results import RowResult
from coordinator.selftest.suite import Say, Suite, a_suite_folder
from coordinator.selftest.version import code_digest
from coordinator.selftest.workload import Workload
from shared import atomic
from shared.errors import Unavailable, UsageError
from shared.models.base import Frozen


class Request(Frozen):
    """What the command line asks for."""

    rows: str | None = None
    seeds: int = 3
    first_seed: int = 0
    jobs: int = 300
    seconds: float = 10.0
    sandbox: str = "docker"
    soak_minutes: float = 30.0
    mutate: str | None = None
    out: Path | None = None
    keep: bool = False
    as_json: bool = False

    @property
    def all_seeds(self) -> range:
        """The seeds that each row is run with."""
        return range(self.first_seed, self.first_seed + self.seeds)


def run_selftest(request: Request, say: Say) -> int:
    """Run what is asked for; the exit code. Raises UsageError, and Unavailable where nothing can be run here."""
    if request.sandbox not in ("docker", "process"):
        raise UsageError(f"The selftest runs in the sandbox docker or process, not in {request.sandbox!r}.")
    numbers = chosen(request.rows)
    mutations = chosen_mutations(request.mutate)
    reason = missing(["redis", *(["docker"] if request.sandbox == "docker" else [])])
    if reason is not None:
        raise Unavailable(f"The selftest cannot be run here: {reason}.")
    keep = Keeper(request)
    with a_suite_folder(request.keep, say) as folder:
        if mutations:
            noticed = [_mutated(request, name, numbers, folder, keep, say) for name in mutations]
            return 0 if all(noticed) else 1
        suite = _suite(request, folder, say)
        rows = [_row(suite, number, request.all_seeds, keep) for number in numbers]
    if not request.as_json:
        typer.echo(terminal_table(rows))
    passed = sum(row.passed for row in rows)
    say(f"{passed} of {len(rows)} rows passed.")
    return 0 if passed == len(rows) else 1


class Keeper:
    """Puts each figure where it is wanted as soon as it is there: a suite of hours may be interrupted.

    Other calls may be adding theirs to the same page.
    """

    def __init__(self, request: Request) -> None:
        """Raises CorruptFile where the page's figures cannot be read: now, and not after the first row."""
        self._request = request
        if request.out is not None:
            atomic.make_directory(request.out.absolute().parent)
            load_book(request.out)

    def seed(self, row: RowResult) -> None:
        """Keep a row with one of its seeds."""
        self._change(lambda book: book.with_row(row))

    def row(self, row: RowResult) -> None:
        """Show a row with all its seeds."""
        self._show(row.model_dump(mode="json") | {"passed": row.passed})

    def mutation(self, found: MutationResult) -> None:
        """Keep what came of a mutation."""
        self._change(lambda book: book.with_mutation(found))
        self._show(found.model_dump(mode="json"))

    def _show(self, record: dict[str, object]) -> None:
        if self._request.as_json:
            typer.echo(json_line(record), nl=False)

    def _change(self, change: Callable[[Book], Book]) -> None:
        if self._request.out is not None:
            here = {"machine": machine()}
            change_book(
                self._request.out,
                lambda book: change(book).model_copy(update=here),
                lambda book: render(book, code_digest()),
            )


def chosen(rows: str | None) -> list[int]:
    """The rows of ``1,2,9-12``; raises UsageError where one is none."""
    if rows is None:
        return sorted(FAULTS)
    found: list[int] = []
    for part in rows.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"{part!r} is no row: give numbers from 1 to {max(FAULTS)}, as in 1,2,9-12.")
        found += range(int(first), int(last or first) + 1)
    unknown = [number for number in found if number not in FAULTS]
    if unknown or not found:
        raise UsageError(f"There is no row {unknown[0] if unknown else ''}: they are 1 to {max(FAULTS)}.")
    return list(dict.fromkeys(found))


def chosen_mutations(name: str | None) -> list[str]:
    """The mutations of that name; all for ``all``."""
    if name is None:
        return []
    if name != "all" and name not in MUTATIONS:
        raise UsageError(f"There is no mechanism {name!r} to switch off: they are {', '.join(MUTATIONS)}, and all.")
    return list(MUTATIONS) if name == "all" else [name]


def _suite(request: Request, folder: Path, say: Say, mutation: str | None = None) -> Suite:
    workload = Workload(
        jobs=request.jobs, long=max(request.jobs // 10, 1), seconds=request.seconds, sandbox=request.sandbox
    )
    return Suite(folder, workload, say, soak_minutes=request.soak_minutes, mutation=mutation)


def _row(suite: Suite, number: int, seeds: range, keep: Keeper) -> RowResult:
    row: RowResult | None = None
    for seed in seeds:
        one = suite.row(number, [seed])
        keep.seed(one)
        row = one if row is None else one.joined(row)
    assert row is not None
    keep.row(row)
    return row


def _mutated(request: Request, name: str, numbers: list[int], folder: Path, keep: Keeper, say: Say) -> bool:
    """Whether each of its rows noticed that the mechanism is off, by the symptom that is to be expected."""
    mutation = MUTATIONS[name]
    say(f"without {mutation.what}:")
    reason = problem(name)
    if reason is not None:
        keep.mutation(MutationResult(name=name, code=code_digest(), not_run=reason))
        say(f"without {mutation.what}: not run: {reason}")
        return False
    suite = _suite(request, folder, say, mutation=name)
    wanted = [number for number in mutation.rows if request.rows is None or number in numbers]
    rows = tuple(suite.row(number, request.all_seeds) for number in wanted)
    keep.mutation(MutationResult(name=name, code=code_digest(), rows=rows))
    missed = mutation.missed(rows, wanted)
    verdict = f"NOT NOTICED by row {', '.join(map(str, missed))}" if missed else "noticed"
    say(f"without {mutation.what}: {verdict if wanted else 'none of its rows was asked for'}")
    return bool(wanted) and not missed


def machine() -> str:
    """This machine in words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"On {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}."
    )
