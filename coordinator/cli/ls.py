"""``ls``: the experiments of a folder, or the scaffolds of an experiment with their scores."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordinator.cli.guard import say
from coordinator.cli.options import AsJson, DataDir, data_dir_or_set
from shared.errors import CorruptFile

if TYPE_CHECKING:
    from shared.file_manager import ExperimentFileManager


def ls(
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="An experiment's directory; without one, list all.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> int:
    """List experiments, or the scaffolds of one with their scores."""
    from shared.file_manager import ExperimentFileManager

    if directory is None:
        return _list_experiments(data_dir_or_set(data_dir), as_json)
    _list_scaffolds(ExperimentFileManager.open(directory), as_json)
    return 0


def _list_experiments(data_dir: Path, as_json: bool) -> int:
    from coordinator.report.json_report import json_line
    from coordinator.report.table import text_table
    from coordinator.report.words import command
    from shared.file_manager import ExperimentFileManager

    records, code = [], 0
    for files in ExperimentFileManager.all_in(data_dir):
        try:
            records.append(_standing(files))
        except CorruptFile as error:
            say(str(error))
            code = error.exit_code
    if as_json:
        typer.echo("".join(map(json_line, records)), nl=False)
    elif records:
        keys = ("directory", "created", "scaffolds", "runs", "state")
        rows = [[str(record[key]) for key in keys] for record in map(_in_words, records)]
        typer.echo(text_table(keys, rows, frozenset({"scaffolds", "runs"})))
    elif not code:
        say(f"There are no experiments in {data_dir}. Start one: {command('run', 'SPEC')}")
    return code


def _standing(files: "ExperimentFileManager") -> dict[str, Any]:
    metadata = files.load_metadata()
    plans = [files.load_plan(iteration) for iteration in files.plan_iterations()]
    pairs = [(plan.iteration, scaffold_id) for plan in plans for scaffold_id in plan.scaffolds]
    # Trials of proposed scaffolds are in no plan's count, and so in none of these.
    planned = sum(map(len, plans))
    done = sum(map(_scored, (files.committed_run_types(*pair) for pair in pairs)))
    quarantined = sum(map(_scored, (files.quarantined_run_types(*pair) for pair in pairs)))
    state = "complete" if done >= planned else "cancelled" if files.is_cancelled() else "incomplete"
    return {
        "directory": str(files),
        "experiment": metadata.experiment,
        "created_at": metadata.created_at.isoformat(),
        "scaffolds": len(files.scaffold_ids()),
        "planned": planned,
        "done": done,
        "quarantined": quarantined,
        "state": state,
    }


def _scored(run_types: list[str]) -> int:
    from shared.models.ids import PREFLIGHT, split_of

    return sum(split_of(run_type) != PREFLIGHT for run_type in run_types)


def _in_words(record: dict[str, Any]) -> dict[str, Any]:
    done, planned, given_up = record["done"], record["planned"], record["quarantined"]
    runs = f"{planned:,}" if done >= planned else f"{done:,} of {planned:,}"
    state = record["state"] + (f", {given_up:,} given up" if given_up else "")
    return {**record, "created": record["created_at"][:16].replace("T", " "), "runs": runs, "state": state}


def _list_scaffolds(files: "ExperimentFileManager", as_json: bool) -> None:
    from coordinator.aggregate import current_details
    from coordinator.cli.reading import scaffold_facts
    from coordinator.report.json_report import json_line
    from coordinator.report.leaders import leaders_table, outcome
    from coordinator.report.overview import ordered, overview_table, scaffold_record
    from coordinator.report.standing import remarks

    details, facts = current_details(files), scaffold_facts(files)
    if as_json:
        for scaffold_id in ordered(details, list(facts)):
            typer.echo(json_line(scaffold_record(details, scaffold_id, facts[scaffold_id])), nl=False)
        return
    names = {scaffold_id: one.name for scaffold_id, one in facts.items()}
    leaders = leaders_table(details, names)
    typer.echo("\n\n".join([overview_table(details, names, facts), *([leaders] if leaders else [])]))
    for remark in (*outcome(details), *remarks(details, str(files))):
        say(remark)
