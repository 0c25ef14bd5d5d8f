"""``logs``: what a run printed, also while it runs."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from coordinator.cli.guard import say
from coordinator.cli.options import Directory, Iteration, ScaffoldIdArgument

if TYPE_CHECKING:
    from shared.file_manager import ExperimentFileManager

POLL_SECONDS = 0.2


def logs(
    directory: Directory,
    scaffold_id: ScaffoldIdArgument,
    run_type: Annotated[str, typer.Argument(metavar="RUN_TYPE", help="A run, such as valid_3.", show_default=False)],
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", "-f", envvar="SCAFFOLDRY_FOLLOW", help="Go on until the run ends.", show_default=False
        ),
    ] = False,
    iteration: Iteration = None,
) -> int:
    """Show a run's log."""
    from coordinator.cli.reading import check_planned, check_scaffold, latest_plan
    from shared.file_manager import ExperimentFileManager

    files = ExperimentFileManager.open(directory)
    check_scaffold(files, scaffold_id)
    plan = latest_plan(files, scaffold_id, iteration, run_type)
    if plan is not None:
        check_planned(plan, run_type)
        iteration = plan.iteration
    number = iteration or 0
    if follow:
        pieces = follow_log(files, number, scaffold_id, run_type, time.sleep)
    else:
        pieces = iter([files.read_log(number, scaffold_id, run_type)[0]])
    for piece in pieces:
        typer.echo(visible(piece), nl=False)
    return 0


def follow_log(
    files: "ExperimentFileManager", iteration: int, scaffold_id: str, run_type: str, sleep: Callable[[float], None]
) -> Iterator[str]:
    """The log's text as it comes, from its start to the end of its last attempt; waits for one that is not there."""
    from shared.run_log import is_finished

    text, offset, told = "", 0, False
    while True:
        try:
            piece, offset = files.read_log(iteration, scaffold_id, run_type, offset)
        except FileNotFoundError:
            if not told:
                say(f"{run_type} of scaffold {scaffold_id} has not started; waiting for its log.")
                told = True
            piece = ""
        if piece:
            yield piece
            text += piece
        if is_finished(text):
            return
        sleep(POLL_SECONDS)


def visible(text: str) -> str:
    """Log text with control characters made visible; our own markers in it stay as they are."""
    from shared.run_log import printable

    return "".join(line if line.startswith("=== ") else printable(line) for line in text.splitlines(keepends=True))
