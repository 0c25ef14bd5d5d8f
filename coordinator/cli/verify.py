"""``verify``: whether an experiment's directory is whole."""

from typing import TYPE_CHECKING

import typer

from coordinator.cli.guard import say
from coordinator.cli.options import AsJson, Directory

if TYPE_CHECKING:
    from coordinator.verify import Check


def verify(directory: Directory, as_json: AsJson = False) -> int:
    """Say whether an experiment's directory is whole. Changes nothing.

    Recomputes every digest and, from the results, every scoring file; finds what
    is damaged, missing, put there by hand or left over. Exits with 1 where the
    directory is not whole.
    """
    from coordinator.report.json_report import json_line
    from coordinator.report.words import one_line
    from coordinator.verify import Check
    from shared.file_manager import ExperimentFileManager

    files = ExperimentFileManager.open(directory)
    holder = files.conductor_lock().holder()
    check = Check(files, going_on=holder is not None)
    problems = notes = 0
    for flaw in check.everything():
        problems, notes = problems + flaw.is_problem, notes + (not flaw.is_problem)
        line = f"{flaw.fault:<10} {one_line(flaw.file)}: {one_line(flaw.problem, 600)}\n"
        typer.echo(json_line({"event": "flaw", **flaw.model_dump(mode="json")}) if as_json else line, nl=False)
    if as_json:
        typer.echo(json_line({"event": "verified", **_record(check), "problems": problems, "notes": notes}), nl=False)
    if holder is not None:
        say(f"It is conducted by {holder} just now: what that one is about to write may show as incomplete.")
    _say_how_it_is(check, problems)
    return 1 if problems else 0


def _record(check: "Check") -> dict[str, object]:
    return {
        "directory": str(check.files),
        "results": check.records.results,
        "quarantined": check.records.quarantined,
        "missing": check.missing,
        "scoring_files": check.scoring.right,
        "unchecked": check.unchecked,
    }


def _say_how_it_is(check: "Check", problems: int) -> None:
    from coordinator.report.words import listed, plural

    if check.unchecked:
        iterations = listed([str(iteration) for iteration in check.unchecked])
        say(f"Scoring files could not be compared (iteration {iterations}): mend the results they are made of first.")
    found = f"{plural(check.records.results, 'result')} and {plural(check.scoring.right, 'scoring file')}"
    if check.records.quarantined:
        found += f", and {plural(check.records.quarantined, 'run')} in quarantine"
    if problems:
        say(f"{check.files} is NOT whole: {plural(problems, 'problem')}, beside {found} in order.")
    elif check.missing:
        say(f"{check.files} is whole, and incomplete: {found}; {plural(check.missing, 'run')} to come.")
    else:
        say(f"{check.files} is whole: {found}.")
