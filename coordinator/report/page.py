"""An experiment as a page of Markdown."""

from collections.abc import Mapping, Sequence

from coordinator.report import words
from coordinator.report.leaders import leaders_table, outcome
from coordinator.report.standing import remarks, standing_table
from shared.models import Details, ExperimentMetadata

INTERVALS = (
    "Intervals are 95%: of means Wilson's where every score is 0 or 1 and every example was run once, Student's t "
    "otherwise, clustered by example; of differences by paired bootstrap over the examples."
)


def experiment_page(
    metadata: ExperimentMetadata, details: Sequence[Details], names: Mapping[str, str], directory: str
) -> str:
    """What was run, the scores of every iteration, and what to know of them."""
    spec = metadata.spec
    facts = {
        "Task": words.one_line(spec.task) or "-",
        "Model": spec.executor.model,
        "Scorer": spec.scorer.name,
        "Sandbox": spec.sandbox + (f", image {metadata.image.reference}" if metadata.image else ""),
        "Started": metadata.created_at.strftime("%Y-%m-%d %H:%M UTC"),
        "Versions": ", ".join(f"{name} {version}" for name, version in sorted(metadata.versions.items())) or "-",
    }
    lines = [f"# {metadata.experiment}", "", *(f"- {name}: {fact}" for name, fact in facts.items())]
    for one in details:
        heading = "Scores" if len(details) == 1 else f"Iteration {one.iteration}"
        lines += ["", f"## {heading}", "", standing_table(one, names, {}, markdown=True)]
    leaders = leaders_table(details, names, markdown=True)
    if leaders:
        lines += ["", "## Leaders", "", leaders]
    notes = [*outcome(details), *remarks(details, directory)]
    if notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in notes)]
    lines += ["", INTERVALS]
    return "\n".join(lines) + "\n"
