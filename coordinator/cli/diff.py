"""``diff``: two scaffolds' code beside the change in score."""

import difflib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordinator.cli.options import AsJson, Directory

if TYPE_CHECKING:
    from coordinator.selection import Standing
    from shared.file_manager import ExperimentFileManager


def diff(
    directory: Directory,
    first: Annotated[str, typer.Argument(metavar="A", help="The scaffold to start from.", show_default=False)],
    second: Annotated[str, typer.Argument(metavar="B", help="The scaffold to compare with it.", show_default=False)],
    as_json: AsJson = False,
) -> int:
    """Show how two scaffolds differ, in score and in code.

    The change is that of the latest validation means, B less A, over the examples both were run on.
    """
    from coordinator.cli.reading import check_scaffold
    from coordinator.report.json_report import json_line
    from shared.file_manager import ExperimentFileManager

    files = ExperimentFileManager.open(directory)
    for scaffold_id in (first, second):
        check_scaffold(files, scaffold_id)
    record = diff_record(files, first, second)
    typer.echo(json_line(record) if as_json else diff_text(record), nl=False)
    return 0


def diff_record(files: "ExperimentFileManager", first: str, second: str) -> dict[str, Any]:
    """How two scaffolds differ, as data; ``change`` is None where one of them has no validation score."""
    from coordinator.aggregate import current_details, example_scores
    from coordinator.selection import Standing, with_iteration
    from shared.comparison import compare

    history: dict[str, Standing] = {}
    for one in current_details(files):
        history = with_iteration(history, one.iteration, one.splits.get("valid", {}).items())
    change = None
    if first != second and first in history and second in history:
        scores = {id: example_scores(files, history[id].iteration, id) for id in (first, second)}
        found = compare(scores, reference=first)[second]
        change = {**found.model_dump(mode="json", exclude={"p_best"}), "separable": found.separable}
    return {
        "first": _side(first, history.get(first)),
        "second": _side(second, history.get(second)),
        "change": change,
        "code": code_difference(files, first, second),
    }


def code_difference(files: "ExperimentFileManager", first: str, second: str) -> str:
    """The unified difference of two scaffolds' code; empty where it is the same."""
    old, new = (files.load_scaffold(scaffold_id).code.splitlines() for scaffold_id in (first, second))
    lines = difflib.unified_diff(old, new, f"{first}/scaffold.py", f"{second}/scaffold.py", lineterm="")
    return "".join(f"{line}\n" for line in lines)


def diff_text(record: dict[str, Any]) -> str:
    """The difference as a person reads it; what is said of scores stands before what ``patch`` would read."""
    from shared.run_log import printable

    code = printable(record["code"]) or "The code is the same.\n"
    return "\n".join([*_score_lines(record), "", code])


def _side(scaffold_id: str, standing: "Standing | None") -> dict[str, Any]:
    return {"scaffold_id": scaffold_id, **(standing.model_dump() if standing else {"mean": None})}


def _score_lines(record: dict[str, Any]) -> list[str]:
    from coordinator.report import words

    sides = (record["first"], record["second"])
    lines = [f"{side['scaffold_id']}: {_said(side)}" for side in sides]
    change = record["change"]
    if change is None:
        return lines
    shared = words.plural(change["examples"], "shared example")
    said = f"change: {words.signed(change['difference'])} over {shared}"
    if change["ci95"] is None:
        return [*lines, f"{said}, too few to tell the two apart"]
    verdict = "separable" if change["separable"] else "not separable"
    return [*lines, f"{said}, 95% {words.bounds(change['ci95'])}: {verdict}"]


def _said(side: dict[str, Any]) -> str:
    from coordinator.report import words

    if side["mean"] is None:
        return "no validation score"
    runs = words.plural(side["n"], "run")
    return f"validation mean {words.number(side['mean'])} over {runs} of iteration {side['iteration']}"
