"""Numbers and states as a person reads them."""

import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import coordinator
from shared.models.scores import Estimate
from shared.models.status import Status
from shared.run_log import printable
from shared.settings import get_settings

STATUS_WORDS: Mapping[Status, str] = {
    Status.OK: "ended well",
    Status.SCAFFOLD_ERROR: "crashed",
    Status.TIMEOUT: "timed out",
    Status.OOM: "out of memory",
    Status.OUTPUT_LIMIT: "over the output limit",
    Status.INVALID_OUTPUT: "no valid answer",
    Status.BUDGET_EXCEEDED: "over the model budget",
    Status.SCORER_ERROR: "SCORER FAILED",
    Status.INFRA_ERROR: "failed on our side",
}


def failures(statuses: Mapping[Status, int]) -> str:
    """``2 timed out, 1 crashed``, the most frequent first; ``-`` where every run ended well."""
    bad = [(count, status) for status, count in statuses.items() if status is not Status.OK and count]
    bad.sort(key=lambda pair: (-pair[0], list(Status).index(pair[1])))
    return ", ".join(f"{count:,} {STATUS_WORDS[status]}" for count, status in bad) or "-"


def number(value: float | None) -> str:
    """A score or mean: three decimals at human sizes, four digits elsewhere, ``-`` for none."""
    if value is None:
        return "-"
    return f"{value:.3f}" if value == 0 or 0.001 <= abs(value) < 10_000 else f"{value:.4g}"


def signed(value: float | None) -> str:
    """A difference: ``+0.125``, ``-0.125``, ``0.000``; ``-`` for none."""
    text = number(value)
    return f"+{text}" if value is not None and value > 0 else text


def bounds(ci95: tuple[float, float] | None) -> str:
    """A 95% interval: ``0.612 to 0.834``; ``-`` where there is none."""
    return f"{number(ci95[0])} to {number(ci95[1])}" if ci95 else "-"


def interval(estimate: Estimate) -> str:
    """The 95% interval of an estimate."""
    return bounds(estimate.ci95)


def duration(seconds: float) -> str:
    """``0.42 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``."""
    if seconds < 10:
        return f"{max(seconds, 0):.2g} s" if seconds >= 0.001 else "0 s"
    whole = round(seconds)
    for large, small, name, part in ((86_400, 3600, "d", "h"), (3600, 60, "h", "min"), (60, 1, "min", "s")):
        if whole >= large:
            rest = whole % large // small
            return f"{whole // large} {name}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"


def plural(count: int, noun: str) -> str:
    """``1 run``, ``1,200 runs``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def dollars(usd: float | None) -> str:
    """``$0.0123``; empty where the cost is not known."""
    if usd is None:
        return ""
    return f"${usd:,.2f}" if usd >= 1 or usd == 0 else f"${usd:.4f}"


def listed(names: Sequence[str], most: int = 10) -> str:
    """``0, 1, 2 and 190 more``."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def one_line(text: str, longest: int = 300) -> str:
    """Text of any origin as one harmless line of bounded length."""
    line = " ".join(printable(text[: 4 * longest]).split())
    return line if len(line) <= longest else line[: longest - 3] + "..."


def folder_name(source: str | None) -> str:
    """The last part of the folder a scaffold was given as; empty for generated ones."""
    return one_line(Path(source).name, 60) if source else ""


def command(*words: str) -> str:
    """A command line of this program that can be pasted into the shell that it was started from."""
    return shlex.join([*_program(), *words])


def _program() -> list[str]:
    """As set, else ``scaffoldry`` where the shell finds this very program by that name, else what was typed."""
    if said := get_settings().command:
        return shlex.split(said)
    typed = Path(sys.argv[0])
    if typed == Path(coordinator.__path__[0]) / "__main__.py":
        return [sys.orig_argv[0], "-m", "coordinator"]
    found = shutil.which("scaffoldry")
    if typed.name != "scaffoldry" or (found and typed.exists() and typed.samefile(found)):
        return ["scaffoldry"]
    return [sys.argv[0]]
