"""``score``: score stored outputs again, without running anything but the scorer."""

import json

import typer

from coordinator.cli.guard import say
from coordinator.cli.options import AsJson, Directory


def score(directory: Directory, as_json: AsJson = False) -> int:
    """Score stored outputs again, without running anything.

    For a scorer that was mended: results and scoring files are made anew. A module:function scorer is taken from beside
    the spec, as it is now. Exits with 1 where the scorer still fails.
    """
    from coordinator.aggregate import aggregate_all
    from coordinator.cli.reading import scaffold_names
    from coordinator.experiment import take_mended_scorer
    from coordinator.report.json_report import json_line
    from coordinator.report.standing import remarks, standing_table
    from coordinator.report.words import plural
    from coordinator.worker_tools import call_worker
    from shared.file_manager import ExperimentFileManager

    files = ExperimentFileManager.open(directory)
    with files.conductor_lock().held():
        changed = take_mended_scorer(files)
        if changed:
            say(changed)
        done = call_worker("score", str(directory.absolute()), "--json", capture=True)
        if done.returncode not in (0, 1) or not done.stdout.strip():
            return done.returncode or 1
        rescored = json.loads(done.stdout)
        details = aggregate_all(files)
    if as_json:
        typer.echo(json_line({"event": "scored", **rescored}), nl=False)
    else:
        names = scaffold_names(files)
        typer.echo("\n\n".join(standing_table(one, names, {}) for one in details))
        say(f"{plural(rescored['results'], 'output')} scored again: {plural(rescored['changed'], 'score')} changed.")
    for remark in remarks(details, str(files)):
        say(remark)
    return 1 if rescored["scorer_errors"] else 0
