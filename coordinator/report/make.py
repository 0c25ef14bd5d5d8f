"""Choosing the reporter that fits where the output goes."""

import sys
from collections.abc import Mapping

from rich.console import Console

from coordinator.report.base import Reporter
from coordinator.report.json_report import JsonReporter
from coordinator.report.plain import PlainReporter
from coordinator.report.rich_report import RichReporter


class _Steady(Console):
    """A console that falls silent where its reader goes away, rather than end the program."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


def make_reporter(json: bool, names: Mapping[str, str] | None = None, console: Console | None = None) -> Reporter:
    """Live on a terminal, plain lines elsewhere, one object a line with ``json``.

    ``names`` maps scaffold ids to what a person calls them; ``console`` is where talk goes, stderr by default.
    """
    if json:
        return JsonReporter(sys.stdout, sys.stderr)
    console = console or _Steady(stderr=True, highlight=False)
    if console.is_terminal and not console.is_dumb_terminal:
        return RichReporter(console, sys.stdout, names)
    return PlainReporter(sys.stdout, console.file, names)
