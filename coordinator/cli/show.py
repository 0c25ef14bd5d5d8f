"""``show``: one scaffold, or one of its runs."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordinator.cli.options import AsJson, Directory, Iteration, ScaffoldIdArgument

if TYPE_CHECKING:
    from shared.file_manager import ExperimentFileManager
    from shared.models import RunResult


def show(
    directory: Directory,
    scaffold_id: ScaffoldIdArgument,
    run_type: Annotated[
        str | None, typer.Argument(metavar="RUN_TYPE", help="A run, such as valid_3.", show_default=False)
    ] = None,
    iteration: Iteration = None,
    as_json: AsJson = False,
) -> int:
    """Show a scaffold, or one of its runs.

    A scaffold: where it comes from, who proposed it and how, its scores, its runs and its code. A run: input, expected
    fields, answer, score.
    """
    from coordinator.cli.reading import check_scaffold
    from coordinator.report.json_report import json_line
    from shared.file_manager import ExperimentFileManager

    files = ExperimentFileManager.open(directory)
    check_scaffold(files, scaffold_id)
    if run_type is None:
        record, text = scaffold_record(files, scaffold_id, iteration), scaffold_text
    else:
        record, text = run_record(files, scaffold_id, run_type, iteration), run_text
    typer.echo(json_line(record) if as_json else text(record), nl=False)
    return 0


def scaffold_record(files: "ExperimentFileManager", scaffold_id: str, iteration: int | None) -> dict[str, Any]:
    """What is known of a scaffold; of its runs the latest iteration's, or those of ``iteration``."""
    from coordinator.aggregate import current_details
    from coordinator.cli.reading import latest_plan, scaffold_facts
    from coordinator.report.overview import scaffold_record as overview_record

    scaffold = files.load_scaffold(scaffold_id)
    plan = latest_plan(files, scaffold_id, iteration)
    about = overview_record(current_details(files), scaffold_id, scaffold_facts(files)[scaffold_id])
    results = list(files.results(plan.iteration, scaffold_id)) if plan else []
    born = scaffold.metadata.iteration
    return {
        "scaffold_id": scaffold_id,
        **{key: about[key] for key in ("status", "reason", "leader", "winner")},
        "metadata": scaffold.metadata.model_dump(mode="json"),
        "code": scaffold.code,
        "scores": about["scores"],
        "trials": [_run_row(result) for result in files.results(born, scaffold_id) if _is_trial(result.run_type)],
        "iteration": plan.iteration if plan else None,
        "runs": [_run_row(result) for result in results if not _is_trial(result.run_type)],
        "quarantined": files.quarantined_run_types(plan.iteration, scaffold_id) if plan else [],
    }


def run_record(
    files: "ExperimentFileManager", scaffold_id: str, run_type: str, iteration: int | None
) -> dict[str, Any]:
    """What is known of a run: its example and its result, or why it has none."""
    from coordinator.cli.reading import check_planned, latest_plan
    from coordinator.monitoring.links import flower_url, job_link
    from shared.errors import UsageError
    from shared.models import Job

    plan = latest_plan(files, scaffold_id, iteration, run_type)
    if plan is None:
        raise UsageError(f"No iteration of {files} has a plan with scaffold {scaffold_id}.")
    check_planned(plan, run_type)
    job = Job(experiment=files.name, iteration=plan.iteration, scaffold_id=scaffold_id, run_type=run_type)
    result, failed = files.load_result(job), files.load_quarantined(job)
    flower = flower_url()
    return {
        "scaffold_id": scaffold_id,
        "run_type": run_type,
        "iteration": plan.iteration,
        "example": plan.runs[run_type].model_dump(mode="json"),
        "result": result.model_dump(mode="json") if result else None,
        "quarantined": failed.model_dump(mode="json") if failed else None,
        "flower": job_link(flower, job) if flower else None,
    }


def scaffold_text(record: dict[str, Any]) -> str:
    """A scaffold as a person reads it."""
    from coordinator.report.proposal import proposal_lines
    from coordinator.report.table import text_table
    from shared.run_log import printable

    lines = [f"scaffold {record['scaffold_id']}: {record['status']}"]
    lines += _fields({name: value for name, value in record["metadata"].items() if name != "notes"})
    lines += proposal_lines(record["metadata"]["notes"], record["trials"])
    lines += _score_lines(record)
    if record["runs"]:
        headers = ("run", "status", "score", "seconds", "calls", "tokens", "error")
        rows = [[*map(str, row.values())] for row in record["runs"]]
        lines += ["", text_table(headers, rows, frozenset({"score", "seconds", "calls", "tokens"}))]
    if record["quarantined"]:
        lines += ["", f"given up, failed on our side: {', '.join(record['quarantined'])}"]
    lines += ["", "--- scaffold.py", printable(record["code"]).rstrip("\n")]
    return "\n".join(lines) + "\n"


def _score_lines(record: dict[str, Any]) -> list[str]:
    from coordinator.report import words
    from coordinator.report.leaders import NOT_SEPARABLE

    lines = []
    for one in record["scores"]:
        counted = f"{one['n']} of {one['planned']} runs"
        missing = "" if one["complete"] else " (incomplete)"
        where = f"iteration {one['iteration']}, {one['split']}"
        interval = words.bounds(one["ci95"])
        lines.append(f"  {where}: mean {words.number(one['mean'])}, 95% {interval}, {counted}{missing}")
    leader, winner = record["leader"], record["winner"]
    if winner:
        lines.append("  the winner so far")
        if winner["test_mean"] is not None:
            valid, test = words.number(winner["valid_mean"]), words.number(winner["test_mean"])
            lines.append(f"  validation {valid}, test {test}: a gap of {words.signed(winner['gap'])}")
    elif leader:
        verdict = "separable from the winner" if leader["separable"] else NOT_SEPARABLE
        told = f", 95% {words.bounds(leader['ci95'])}: {verdict}" if leader["ci95"] else ": too few examples to tell"
        shared = words.plural(leader["examples"], "shared example")
        lines.append(f"  to the winner {words.signed(leader['difference'])} over {shared}{told}")
    return lines


def run_text(record: dict[str, Any]) -> str:
    """A run as a person reads it."""

    example, result, failed = record["example"], record["result"], record["quarantined"]
    head = f"scaffold {record['scaffold_id']} on {record['run_type']}, iteration {record['iteration']}"
    lines = [head, *_fields({"example": example["id"]})]
    if result:
        kept = ("status", "score", "exit_code", "execution_time", "attempt", "worker", "started_at", "finished_at")
        lines += _fields({key: result[key] for key in kept}) + _fields(result["usage"])
    elif failed:
        lines.append(f"  no result: failed on our side {failed['attempt']} times")
    else:
        lines.append("  no result yet")
    lines += _fields({"flower": record["flower"]})
    lines += _block("input", example["input"])
    for name, value in example["fields"].items():
        lines += _block(f"field {name}", value if isinstance(value, str) else repr(value))
    for name in ("output", "feedback", "error_message"):
        lines += _block(name.replace("_message", ""), (result or failed or {}).get(name))
    return "\n".join(lines) + "\n"


def _run_row(result: "RunResult") -> dict[str, Any]:
    from coordinator.report import words

    return {
        "run_type": result.run_type,
        "status": result.status.value,
        "score": words.number(result.score),
        "seconds": f"{result.execution_time:.2f}",
        "calls": result.usage.calls,
        "tokens": result.usage.input_tokens + result.usage.output_tokens,
        "error": words.one_line(result.error_message or "", 80),
    }


def _is_trial(run_type: str) -> bool:
    from shared.models.ids import PREFLIGHT, split_of

    return split_of(run_type) == PREFLIGHT


def _fields(values: dict[str, Any]) -> list[str]:
    from shared.run_log import printable

    return [f"  {name}: {printable(str(value))}" for name, value in values.items() if value not in (None, {}, "")]


def _block(title: str, text: str | None) -> list[str]:
    from shared.run_log import printable

    return [] if text is None else ["", f"--- {printable(title)}", printable(text).rstrip("\n")]
