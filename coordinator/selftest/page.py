"""The table, for a terminal and for ``docs/reliability.md``. The words are kept here; the figures come from a run."""

from collections.abc import Callable, Sequence

from coordinator.report.table import markdown_table, text_table
from coordinator.selftest.book import Book, MutationResult
from coordinator.selftest.faults import FAULTS
from coordinator.selftest.mutations import MUTATIONS
from coordinator.selftest.results import RowResult
from coordinator.selftest.version import row_digest

HEAD = ("row", "fault", "seeds passed", "lost", "counted twice", "strays", "also", "figure")
RIGHT = frozenset({"row", "lost", "counted twice", "strays"})

INTRODUCTION = """\
# Counted once

Whatever breaks, a job counts once: none is lost, none is counted twice, and the scoring files at the end are those of a
night on which nothing broke.

- A job may be delivered as often as the broker likes. Its result is committed with `link()`: the first wins, and what
  is committed never changes again.
- An attempt that lost its lease cannot commit over its successor.
- What is neither committed, nor at work, nor on the queue is enqueued again. Redis may lose everything.
- What our own machinery fails is tried three times, and then shown and left out of the mean; it is never a zero. An
  attempt that was lost to its host's trouble, or before anybody had begun it, is none of the three; of these, too,
  there is an end: no job is sent more than 30 times.
- One coordinator drives an experiment. One that was killed at any moment is followed by `scaffoldry resume`.
- A file is whole or absent, and a damaged one is found and its run done again.
- No container outlives its run by more than a minute, whatever was killed.

`scaffoldry selftest` (or `make chaos`) breaks these things on purpose, with real processes, a real Redis and a real
Docker engine, and writes this page. Each row runs an experiment of its own over 2 workers with 2 slots each. To pass,
with every seed, it must lose nothing, count nothing twice, leave `scoring/` as it is without the fault, byte for byte,
and a directory that `scaffoldry verify` calls whole, have no container outlive its run by 60 s, at no time, leave no
temporary file, and keep its own bound (*also*). The seed decides what is hit, and when. A row counts once it has passed
with three seeds, with 300 jobs in containers, a tenth of which take 10 s; the soak once it has lasted 30 minutes."""

MUTATION_WORDS = """\
## Switched off

A check that cannot fail proves nothing. Here each mechanism is switched off in turn, and the rows that rest on it must
fail, each by the symptom that is to be expected: one that fails for anything else has noticed nothing."""


def terminal_table(rows: Sequence[RowResult]) -> str:
    """The rows as plain text."""
    return text_table(HEAD, [cells(row) for row in rows], RIGHT)


def cells(row: RowResult, remark: str = "") -> tuple[str, ...]:
    """A row of the table."""
    start = (str(row.number), row.fault)
    if row.not_run is not None:
        return (*start, "not run", "-", "-", "-", row.also, row.not_run)
    passed = f"{sum(run.passed for run in row.runs)} of {len(row.runs)}{remark}"
    sums = (sum(getattr(run, name) for run in row.runs) for name in ("lost", "doubled", "strays"))
    return (*start, passed, *map(str, sums), row.also, row.figure)


def render(book: Book, code: str) -> str:
    """The page. Rows of other code than ``code`` are marked and not counted, as are those not run in full."""
    rows = [book.rows.get(number) or _never(number) for number in sorted(FAULTS)]
    passed = sum(row.counts and not _is_stale(row, code) for row in rows)
    sections = [
        INTRODUCTION,
        f"**{passed} of {len(rows)} rows passed**{_seeds(rows)}. {book.machine}".strip(),
        markdown_table(HEAD, [cells(row, _remark(row, code)) for row in rows], RIGHT),
        *_footnotes(rows, code),
        MUTATION_WORDS,
        markdown_table(
            ("switched off", "symptom", "rows that must show it", "rows that did", ""),
            [mutation_cells(name, book.mutations.get(name), code) for name in MUTATIONS],
        ),
    ]
    return "\n\n".join(sections) + "\n"


def mutation_cells(name: str, found: MutationResult | None, code: str) -> tuple[str, ...]:
    """A mutation's row of its table."""
    mutation = MUTATIONS[name]
    start = (f"{mutation.what} (`{name}`)", mutation.symptom_words, ", ".join(map(str, mutation.rows)))
    if found is None:
        return (*start, "-", "not run")
    if found.not_run is not None:
        return (*start, "-", found.not_run)
    red = [row.number for row in found.rows if mutation.noticed(row)]
    missed = mutation.missed(found.rows)
    verdict = f"NOT NOTICED by row {', '.join(map(_missed(found), missed))}" if missed else "noticed"
    return (
        *start,
        ", ".join(map(str, red)) or "none",
        verdict + (" (stale)" if _is_stale_mutation(found, code) else ""),
    )


def _missed(found: MutationResult) -> Callable[[int], str]:
    run = {row.number for row in found.rows if row.not_run is None and row.runs}
    return lambda number: str(number) if number in run else f"{number} (not run)"


def _is_stale(row: RowResult, code: str) -> bool:
    """Whether the product is another by now, or what the row is made with."""
    return bool(row.code) and (row.code, row.suite) != (code, row_digest(row.number))


def _is_stale_mutation(found: MutationResult, code: str) -> bool:
    """The same of a mutation, whose rows are made with what switches the mechanism off, too."""
    return found.code != code or any(row.suite != row_digest(row.number, mutated=True) for row in found.rows)


def _remark(row: RowResult, code: str) -> str:
    """Why it does not count, but for its failures."""
    words = [*(["stale"] if _is_stale(row, code) else []), *row.shortcomings]
    return f" ({', '.join(words)})" if words else ""


def _never(number: int) -> RowResult:
    kind = FAULTS[number]
    return RowResult(
        number=number, fault=kind.name, also=kind.also, code="", jobs=0, sandbox="", not_run="it has not been run yet"
    )


def _seeds(rows: Sequence[RowResult]) -> str:
    counts = sorted({len(row.runs) for row in rows if row.runs})
    jobs = sorted({row.jobs for row in rows if row.runs and row.number != 22})
    if not counts:
        return ""
    return f", with {_range(counts)} seeds and {_range(jobs)} jobs each" if jobs else f", with {_range(counts)} seeds"


def _range(counts: Sequence[int]) -> str:
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _footnotes(rows: Sequence[RowResult], code: str) -> list[str]:
    notes = []
    if any(_is_stale(row, code) for row in rows):
        notes.append(
            "*Stale*: run with other code, or by another selftest, than this page was written with, and not counted."
        )
    failures = [f"- row {row.number}, seed {run.seed}: {' '.join(run.problems)}" for row in rows for run in row.runs
                if run.problems]  # fmt: skip
    return notes + (["\n".join(failures)] if failures else [])
