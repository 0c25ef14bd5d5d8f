"""Whether an experiment can be gone on with as it lies there; damaged records are then set aside and run again."""

from collections.abc import Callable

from coordinator.report.words import command, plural
from coordinator.verify.check import Check, misplaced
from coordinator.verify.flaw import Fault, Flaw
from shared.errors import NotWhole
from shared.file_manager import ExperimentFileManager
from shared.inventory import RECORDS, Kind, Place

_SHOWN = 10
"""Flaws that a refusal names."""
MANY = 2_000
"""Planned runs whose records take seconds to read."""


def admit(files: ExperimentFileManager, say: Callable[[str], None] = lambda sentence: None) -> list[Place]:
    """The damaged records, which are to be set aside. Changes nothing. Says so where looking at all takes a while.

    Raises NotWhole where something else is amiss that a session cannot make good: a file that a newer version wrote,
    one that nobody of ours put there, one that is gone or may not be read.
    """
    check = Check(files)
    flaws = [flaw for flaw in check.foundations() if flaw.is_problem]
    if not flaws:
        planned = sum(len(files.load_plan(iteration)) for iteration in check.records.plans)
        if planned > MANY:
            say(f"Looking through what there is of {planned:,} runs ...")
        for place in files.places(*RECORDS):
            if place.kind in RECORDS.values():
                flaws += [flaw for flaw in check.record(place) if flaw.fault is not Fault.DAMAGED]
            elif place.kind in (Kind.NO_RECORD, Kind.UNREADABLE):
                flaws.append(misplaced(place))
    if flaws:
        raise NotWhole(_refusal(files, flaws))
    return check.damaged


def set_aside(files: ExperimentFileManager, damaged: list[Place], say: Callable[[str], None]) -> None:
    """Move damaged records into the experiment's ``damaged/``, so that their runs are done again. Says so of each."""
    for place in damaged:
        kept = files.set_aside(place)
        say(f"{files}/{place.path} is damaged: it is not what was written. It is kept as {kept}.")
    if damaged:
        say(f"{plural(len(damaged), 'damaged record')} set aside; what they were of is run again.")


def _refusal(files: ExperimentFileManager, flaws: list[Flaw]) -> str:
    lines = [f"{flaw.file}: {flaw.problem}" for flaw in flaws[:_SHOWN]]
    if len(flaws) > _SHOWN:
        lines.append(f"and {len(flaws) - _SHOWN:,} more, which `{command('verify', str(files))}` names.")
    return "\n  ".join([f"{files} is not whole, so nothing was begun or changed:", *lines])
