"""``tree``: which scaffold came from which, with their scores."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import typer

from coordinator.cli.options import AsJson, Directory

if TYPE_CHECKING:
    from coordinator.report.overview import Facts


def tree(directory: Directory, as_json: AsJson = False) -> int:
    """Show which scaffold came from which."""
    from coordinator.aggregate import current_details
    from coordinator.cli.reading import scaffold_facts
    from coordinator.report import words
    from coordinator.report.json_report import json_line
    from coordinator.report.leaders import latest_part
    from coordinator.report.overview import scaffold_record, shown_split, status_words
    from shared.file_manager import ExperimentFileManager

    files = ExperimentFileManager.open(directory)
    details, facts = current_details(files), scaffold_facts(files)
    split = shown_split(details)
    winner = details[-1].winner if details else None
    for scaffold_id, stem in lineage(facts):
        one = facts[scaffold_id]
        if as_json:
            record = {**scaffold_record(details, scaffold_id, one), "depth": len(stem) // 4}
            typer.echo(json_line(record), nl=False)
            continue
        part = latest_part(details, scaffold_id, split)
        score = f"{words.number(part.mean)} [{words.bounds(part.ci95)}], n {part.n:,}" if part and part.n else ""
        word = status_words(one, part)
        notes = "  (the winner)" if winner and winner.scaffold_id == scaffold_id else ""
        said = "  ".join(filter(None, (scaffold_id, one.name, score, "" if word == "evaluated" else word)))
        typer.echo(stem + said + notes)
    return 0


def lineage(facts: "Mapping[str, Facts]") -> Iterator[tuple[str, str]]:
    """Every scaffold id once, children below their parents, with what is drawn in front of it: 4 columns a level.

    Scaffolds whose parent is not there stand where those do that have none.
    """
    children: dict[str | None, list[str]] = {}
    for scaffold_id, one in facts.items():
        children.setdefault(one.parent if one.parent in facts else None, []).append(scaffold_id)
    stack = [(root, "", "") for root in reversed(children.get(None, []))]
    while stack:
        scaffold_id, stem, below = stack.pop()
        yield scaffold_id, stem
        its_own = children.get(scaffold_id, [])
        for child in reversed(its_own):
            last = child == its_own[-1]
            stack.append((child, below + ("└── " if last else "├── "), below + ("    " if last else "│   ")))
