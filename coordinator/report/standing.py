"""What an experiment comes to, in tables and sentences."""

from collections.abc import Iterable, Mapping

from coordinator.report import words
from coordinator.report.base import Summary
from coordinator.report.leaders import outcome
from coordinator.report.table import empty_columns, table_without
from shared.models import Details, Job, SplitDetails, Status
from shared.models.ids import SPLITS, scaffold_id_key

HEADERS = ("split", "scaffold", "name", "n", "mean", "95% interval", "failures", "s/run", "tokens")
RIGHT = frozenset({"n", "mean", "s/run", "tokens"})
MOST_SKIPPED = 10


def standing_rows(details: Details, names: Mapping[str, str], seconds: Mapping[str, float]) -> list[tuple[str, ...]]:
    """A row per split and scaffold, the best mean first. ``seconds``: mean seconds per run of a scaffold."""
    return [
        _row(split, scaffold_id, part, names, seconds)
        for split in sorted(details.splits, key=SPLITS.index)
        for scaffold_id, part in sorted(details.splits[split].items(), key=_best_first)
    ]


def standing_table(
    details: Details, names: Mapping[str, str], seconds: Mapping[str, float], markdown: bool = False
) -> str:
    """The rows as a table, without the columns that would be empty or the same throughout."""
    rows = standing_rows(details, names, seconds)
    idle = {"split"} if len(details.splits) < 2 else set()
    idle |= empty_columns(HEADERS, rows, {"tokens"}) & {"name", "s/run", "tokens"}
    return table_without(idle, HEADERS, rows, RIGHT, markdown)


def remarks(details: Iterable[Details], directory: str) -> list[str]:
    """What a reader of the means must know: what is missing, and where the scorer failed."""
    found = []
    for one in details:
        parts = [(id, part) for split in one.splits.values() for id, part in split.items()]
        missing = sum(part.missing for _, part in parts)
        if missing:
            whose = sorted({id for id, part in parts if part.missing}, key=scaffold_id_key)
            found.append(_missing(missing, whose, directory))
        broken = sum(part.statuses.get(Status.SCORER_ERROR, 0) for _, part in parts)
        if broken:
            found.append(
                f"SCORER ERRORS: the scorer failed on {words.plural(broken, 'run')}, counted as 0. Mend the scorer, "
                f"then score the stored outputs again: {words.command('score', directory)}"
            )
    return found


def closing(summary: Summary, notable: Job | None) -> list[str]:
    """The last lines of a run: how it ended, who won, what is amiss, where it lies, what to try next."""
    lines = [_how_it_ended(summary), *outcome(summary.details), *remarks(summary.details, summary.directory)]
    if summary.quarantined:
        lines.append(
            f"{words.plural(summary.quarantined, 'run')} failed on our side at every attempt and "
            f"{'was' if summary.quarantined == 1 else 'were'} given up, "
            "which says nothing about the program; a resume tries again."
        )
    if summary.dropped:
        lines.append(
            f"{words.plural(summary.dropped, 'run')} {'was' if summary.dropped == 1 else 'were'} done once more than "
            "needed, as after a lost connection or a stopped worker, and dropped: each run counts once."
        )
    if summary.skipped:
        ids = sorted(summary.skipped, key=scaffold_id_key)
        lines.append(f"{words.plural(len(ids), 'proposed scaffold')} skipped, which did not start or gave no answer:")
        lines += [f"  {id}: {words.one_line(summary.skipped[id], 200)}" for id in ids[:MOST_SKIPPED]]
        lines += [f"  and {len(ids) - MOST_SKIPPED:,} more"] if len(ids) > MOST_SKIPPED else []
    lines += ["", f"Experiment: {summary.directory}"]
    commands = _next(summary, notable)
    width = max(len(command) for command, _ in commands)
    return lines + [f"  {command:<{width}}  {meaning}" for command, meaning in commands]


def _how_it_ended(summary: Summary) -> str:
    took = words.duration(summary.seconds)
    if summary.interrupted:
        return f"Interrupted after {took}. Every finished run is kept."
    if summary.complete:
        return f"Complete after {took}."
    if summary.stopped:
        kept = "Every finished run is kept and scored; to go on, raise that bound in the spec and resume."
        return f"Stopped after {took}: {summary.stopped} {kept}"
    return f"Ended after {took}, incomplete."


def _next(summary: Summary, notable: Job | None) -> list[tuple[str, str]]:
    directory = summary.directory
    again = "goes on with it; no finished run is repeated"
    commands = [] if summary.complete else [(words.command("resume", directory), again)]
    commands.append((words.command("ls", directory), "the scores so far" if not summary.complete else "the scores"))
    if notable is not None:
        ids = (directory, notable.scaffold_id, notable.run_type)
        commands.append((words.command("show", *ids), "one run: input, answer, score"))
        commands.append((words.command("logs", *ids), "its log"))
    return commands if not summary.complete else [*commands, (words.command("resume", directory), again)]


def _missing(missing: int, whose: list[str], directory: str) -> str:
    named = words.listed(whose)
    runs = f"{words.plural(missing, 'run')} {'is' if missing == 1 else 'are'} missing"
    one = len(whose) == 1
    incomplete = f"of scaffold {named}: its mean is" if one else f"of scaffolds {named}: their means are"
    return f"{runs} {incomplete} incomplete. Run what is missing: {words.command('resume', directory)}"


def _best_first(item: tuple[str, SplitDetails]) -> tuple[bool, float, int, object]:
    scaffold_id, part = item
    return part.mean is None, -(part.mean or 0.0), -part.n, scaffold_id_key(scaffold_id)


def _row(
    split: str, scaffold_id: str, part: SplitDetails, names: Mapping[str, str], seconds: Mapping[str, float]
) -> tuple[str, ...]:
    return (
        split,
        scaffold_id,
        names.get(scaffold_id, ""),
        f"{part.n:,}" if part.complete else f"{part.n:,} of {part.planned:,}",
        words.number(part.mean),
        words.interval(part),
        words.failures(part.statuses),
        f"{seconds[scaffold_id]:.2f}" if scaffold_id in seconds else "-",
        f"{part.input_tokens + part.output_tokens:,}",
    )
