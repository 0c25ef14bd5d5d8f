"""``logs``: what a run printed, also while it runs."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from coordinator.cli.guard import say
from coordinator.cli.options import Directory, Iteration, ScaffoldIdArgument

if TYPE_CHECKING:
    from shared.file_manager import ExperimentFileManager
    from shared.models import Job

POLL_SECONDS = 0.2
GRACE_SECONDS = 60.0
"""A run that was silent for so long beyond its timeout has nobody who would end it."""


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
    files: "ExperimentFileManager",
    iteration: int,
    scaffold_id: str,
    run_type: str,
    sleep: Callable[[float], None],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[str]:
    """The log's text as it comes, from its start to the end of its last attempt; waits for one that is not there.

    Ends as well, and says why, where nothing more will come: the run is settled, the experiment is cancelled, or
    nothing was written for longer than a run may take.
    """
    from shared.models import Job
    from shared.run_log import Ending

    job = Job(experiment=files.name, iteration=iteration, scaffold_id=scaffold_id, run_type=run_type)
    patience = files.load_metadata().spec.executor.timeout + GRACE_SECONDS
    ending, offset, heard, done, told = Ending(), 0, clock(), 0, False
    while True:
        over = why_over(files, job)  # asked before reading: what was written until then is shown
        piece, offset = _more(files, job, offset)
        if piece:
            heard = clock()
            yield piece
        if ending.feed(piece):
            return
        if not over and clock() - heard > patience:
            count = len(files.committed_run_types(iteration, scaffold_id))
            if offset == 0 and count > done:  # it waits for its turn
                done, heard = count, clock()
            else:
                over = f"Nothing was written for {patience:.0f} s, longer than a run may take."
        if over:
            say(over)
            return
        if offset == 0 and not told:
            say(f"{run_type} of scaffold {scaffold_id} has not started; waiting for its log.")
            told = True
        sleep(POLL_SECONDS)


def _more(files: "ExperimentFileManager", job: "Job", offset: int) -> tuple[str, int]:
    try:
        return files.read_log(job.iteration, job.scaffold_id, job.run_type, offset)
    except FileNotFoundError:
        return "", offset


def why_over(files: "ExperimentFileManager", job: "Job") -> str | None:
    """Why nothing more will be written to the log of a run; None while something may."""
    if files.is_committed(job):
        return "The run has ended."
    if files.load_quarantined(job):
        return "The run failed on our side at every attempt and was given up."
    return "The experiment was cancelled." if files.is_cancelled() else None


def visible(text: str) -> str:
    """Log text with control characters made visible; our own markers in it stay as they are."""
    from shared.run_log import printable

    return "".join(line if line.startswith("=== ") else printable(line) for line in text.splitlines(keepends=True))
