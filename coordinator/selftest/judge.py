"""Whether what a world left behind is right. Pure: looks at nothing but what it is given."""

import math
from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from coordinator.selftest.results import Bound, SeedRun
from coordinator.selftest.witness import Ledger
from coordinator.verify.flaw import Fault, Flaw
from shared.models.base import Frozen

_NAMED = 5
"""Runs that are named in a sentence, at most."""


class Observed(Frozen):
    """What was seen of one world, beside what lies on its volume."""

    exit_code: int | None
    """The coordinator's last; None where it had to be killed."""
    changed: tuple[str, ...] = ()
    """Runs whose committed result was another later on."""
    strays: tuple[str, ...] = ()
    """Jobs of what still ran, or was there, 60 s after the end."""
    overstayed: tuple[str, ...] = ()
    """Containers and temporary files that were there for more than 60 s, at some time, with nobody at work on them."""
    leftovers: tuple[str, ...] = ()
    """Temporary files, beside those on the volume, that were there 60 s after the end."""
    kept: tuple[str, ...] = ()
    """Others that were there when the workers had ended in their turn."""
    flaws: tuple[Flaw, ...] = ()
    """What ``scaffoldry verify`` says of the experiment."""
    trouble: tuple[str, ...] = ()
    """What went wrong with the row itself, in sentences."""
    seconds: float = 0.0


class Expected(Frozen):
    """What must be: the runs of the plan, the fault-free run, and what the row excuses."""

    run_types: tuple[str, ...]
    quiet: Ledger
    but_for: tuple[str, ...] = ()
    """Runs that must be quarantined, and nothing else with them."""

    @property
    def exit_code(self) -> int:
        """0, or 1 where runs are given up."""
        return 1 if self.but_for else 0


def judge(seed: int, found: Ledger, expected: Expected, observed: Observed, bound: Bound) -> SeedRun:
    """A row with one seed, judged."""
    planned = set(expected.run_types) - set(expected.but_for)
    lost = sorted(planned - set(found.results))
    doubled = sorted({*observed.changed, *(set(found.results) - planned)})
    miscounted = abs(found.counted - len(planned)) if not lost else 0
    same = not _differences(found, expected)
    problems = [
        *observed.trouble,
        *_said(lost, "without a committed result"),
        *_said(doubled, "counted twice, or not planned"),
        *_difference_sentences(found, expected),
        *_said(sorted(set(found.quarantined) ^ set(expected.but_for)), "wrongly in quarantine, or not there"),
        *_said(found.torn, "torn or damaged"),
        *_said(found.temporary, "left over from writing"),
        *_said(observed.strays, "still there 60 s after the end"),
        *_said(observed.overstayed, "there for more than 60 s after its run had ended"),
        *_said(observed.leftovers, "left over in the folder for temporary files 60 s after the end"),
        *_said(observed.kept, "left over there by workers that ended"),
        *_said(_amiss(found, expected, observed), "amiss, says verify"),
    ]
    if miscounted:
        problems.append(f"The details count {found.counted} runs where {len(planned)} are planned.")
    if observed.exit_code != expected.exit_code:
        problems.append(f"The coordinator ended with {observed.exit_code}, and not with {expected.exit_code}.")
    if not bound.holds:
        problems.append(f"The row's own bound does not hold: {bound.figure}.")
    return SeedRun(
        seed=seed,
        lost=len(lost),
        doubled=max(len(doubled), miscounted),
        same_scores=same,
        strays=len({*observed.strays, *observed.overstayed}),
        bound=bound,
        seconds=round(observed.seconds, 1),
        problems=tuple(problems),
    )


def _differences(found: Ledger, expected: Expected) -> list[str]:
    """Scoring files that are not the fault-free run's; where runs are excused, results that are not."""
    if not expected.but_for:
        names = sorted({*found.scoring, *expected.quiet.scoring})
        return [name for name in names if found.scoring.get(name) != expected.quiet.scoring.get(name)]
    kept = sorted(set(expected.run_types) - set(expected.but_for))
    differing = [run for run in kept if found.results.get(run) != expected.quiet.results.get(run)]
    return differing + _wrong_tallies(found, expected, kept)


def _wrong_tallies(found: Ledger, expected: Expected, kept: Sequence[str]) -> list[str]:
    """What the scoring files say otherwise than the fault-free run's results come to without the excused runs."""
    results = [expected.quiet.results[run] for run in kept if run in expected.quiet.results]
    if not results:
        return []
    mean = fmean(one["score"] for one in results)
    wanted = {
        "n": len(results),
        "examples": len({one["example_id"] for one in results}),
        "planned": len(expected.run_types),
        "missing": len(expected.run_types) - len(results),
        "complete": False,
        "statuses": dict(Counter(one["status"] for one in results)),
        "mean": mean,
    }
    wrong = [f"details_0.json ({name})" for name, value in wanted.items() if not _same(found.tally.get(name), value)]
    return wrong + ([] if _same(found.mean, mean) else ["scores_0.json"])


def _same(found: Any, wanted: Any) -> bool:
    """Whether two figures are the same but for the last bits of a float's."""
    if isinstance(wanted, float):
        return isinstance(found, int | float) and math.isclose(found, wanted, rel_tol=1e-12, abs_tol=1e-12)
    return bool(found == wanted)


def _amiss(found: Ledger, expected: Expected, observed: Observed) -> list[str]:
    """What ``verify`` finds. That an excused run has no result it says rightly; leftovers were named already."""
    excused = {(Fault.INCOMPLETE, "plans/0.json")} if expected.but_for else set()
    return [
        f"{flaw.file} ({flaw.fault})"
        for flaw in observed.flaws
        if (flaw.fault, flaw.file) not in excused and flaw.file not in found.temporary
    ]


def _difference_sentences(found: Ledger, expected: Expected) -> list[str]:
    kept = sorted(set(found.results) & set(expected.quiet.results))
    why = [run for run in kept if found.results[run] != expected.quiet.results[run]]
    return _said(_differences(found, expected), "not as in the fault-free run") + _said(why, "scored otherwise")


def _said(names: Sequence[str], what: str) -> list[str]:
    if not names:
        return []
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return [f"{len(names)} {what}: {', '.join(names[:_NAMED])}{rest}."]
