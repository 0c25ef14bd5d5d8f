"""All scaffolds of an experiment in one table: where they come from, their latest scores, what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coordinator.report import words
from coordinator.report.leaders import latest_part
from coordinator.report.table import empty_columns, table_without
from coordinator.selection import Standing, rank, with_iteration
from shared.models import Details, SplitDetails
from shared.models.ids import scaffold_id_key

RIGHT = frozenset({"n", "mean", "valid mean", "train mean", "test mean", "tokens"})


@dataclass(frozen=True)
class Facts:
    """What is known of a scaffold beside its scores."""

    name: str = ""
    parent: str | None = None
    iteration: int = 0
    """That in which it came into being."""
    model: str | None = None
    skipped: str | None = None
    """Why it was never evaluated; None for all others."""
    given_up: int = 0
    """Runs that failed on our side at every attempt."""


def status(facts: Facts, part: SplitDetails | None) -> str:
    """``evaluated``, ``skipped``, ``given up`` or ``no score yet``."""
    if facts.skipped is not None:
        return "skipped"
    if part is not None and part.n:
        return "evaluated"
    return "given up" if facts.given_up else "no score yet"


def status_words(facts: Facts, part: SplitDetails | None) -> str:
    """The status with its reason."""
    word = status(facts, part)
    if word == "skipped":
        reason = (facts.skipped or "").strip()
        return f"skipped: {words.one_line(reason.splitlines()[-1], 100)}" if reason else word
    return f"evaluated, {facts.given_up:,} given up" if word == "evaluated" and facts.given_up else word


def shown_split(details: Sequence[Details]) -> str:
    """The split that scaffolds are judged by: validation where there is any."""
    found = {split for one in details for split, parts in one.splits.items() if parts}
    return next((split for split in ("valid", "test", "train") if split in found), "valid")


def ordered(details: Sequence[Details], scaffold_ids: Sequence[str]) -> list[str]:
    """``scaffold_ids`` by their latest score, the best first, and those without one at the end."""
    split = shown_split(details)
    history: dict[str, Standing] = {}
    for one in details:
        history = with_iteration(history, one.iteration, one.splits.get(split, {}).items())
    asked = set(scaffold_ids)
    known = {id: standing for id, standing in history.items() if id in asked}
    return [*rank(known), *sorted((id for id in scaffold_ids if id not in known), key=scaffold_id_key)]


def overview_table(
    details: Sequence[Details], names: Mapping[str, str], facts: Mapping[str, Facts] | None = None
) -> str:
    """A row per scaffold. Without ``facts`` about them, nothing is said of parents and status."""
    ids = list(facts or dict.fromkeys(id for one in details for parts in one.splits.values() for id in parts))
    split = shown_split(details)
    others = [other for other in ("train", "test") if other != split]
    also = [f"{other} mean" for other in others]
    headers = ["scaffold", "name", "parent", "n", f"{split} mean", "95% interval", *also]
    headers += ["failures", "tokens", "status"]
    about = facts or {}
    rows = [_row(details, id, split, others, names.get(id, ""), about.get(id)) for id in ordered(details, ids)]
    idle = empty_columns(headers, rows, {"tokens"}) & {"name", "parent", "tokens", "status", *also}
    if idle.issuperset(also):
        headers[headers.index(f"{split} mean")] = "mean"
    return table_without(idle, headers, rows, RIGHT)


def scaffold_record(details: Sequence[Details], scaffold_id: str, facts: Facts) -> dict[str, Any]:
    """A scaffold as data: its facts, its latest score, its place beside the winner, and all its scores."""
    split = shown_split(details)
    part = latest_part(details, scaffold_id, split)
    shown = part or SplitDetails(n=0, examples=0, planned=0, missing=0, complete=False)
    leader = next((one for one in (details[-1].leaders if details else ()) if one.scaffold_id == scaffold_id), None)
    winner = details[-1].winner if details else None
    record = {
        "scaffold_id": scaffold_id,
        "name": facts.name,
        "parent": facts.parent,
        "model": facts.model,
        "status": status(facts, part),
        "reason": facts.skipped,
        "given_up": facts.given_up,
        "split": split,
        **shown.model_dump(mode="json"),
        "leader": leader.model_dump(mode="json") if leader else None,
        "winner": winner.model_dump(mode="json") if winner and winner.scaffold_id == scaffold_id else None,
    }
    return {**record, "scores": scores_of(details, scaffold_id)}


def scores_of(details: Sequence[Details], scaffold_id: str) -> list[dict[str, Any]]:
    """All that a scaffold scored, in order."""
    return [
        {"iteration": one.iteration, "split": split, **parts[scaffold_id].model_dump(mode="json")}
        for one in details
        for split, parts in one.splits.items()
        if scaffold_id in parts
    ]


def _row(
    details: Sequence[Details], scaffold_id: str, split: str, others: Sequence[str], name: str, facts: Facts | None
) -> tuple[str, ...]:
    part = latest_part(details, scaffold_id, split)
    also = [latest_part(details, scaffold_id, other) for other in others]
    count = "-" if part is None else f"{part.n:,}" if part.complete else f"{part.n:,} of {part.planned:,}"
    return (
        scaffold_id,
        name,
        (facts.parent if facts else None) or "-",
        count,
        words.number(part.mean if part else None),
        words.bounds(part.ci95 if part else None),
        *(words.number(one.mean if one else None) for one in also),
        words.failures(part.statuses) if part else "-",
        f"{part.input_tokens + part.output_tokens:,}" if part else "-",
        status_words(facts, part) if facts else "",
    )
