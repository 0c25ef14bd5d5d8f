"""Live progress on a terminal."""

import time
from collections.abc import Mapping
from typing import IO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from coordinator.report import words
from coordinator.report.progress import Progress, ScaffoldProgress
from coordinator.report.reporter import Clock, ProgressReporter, pace, spending, troubles
from shared.models import Plan
from shared.models.ids import scaffold_id_key
from shared.run_log import printable

MOST_ROWS = 15
REFRESH_SECONDS = 0.25


class RichReporter(ProgressReporter):
    """A bar and a table of the scaffolds, redrawn in place at most four times a second."""

    def __init__(
        self, console: Console, out: IO[str], names: Mapping[str, str] | None = None, clock: Clock = time.monotonic
    ) -> None:
        super().__init__(out, console.file, names, clock)
        self._console = console
        self._drawn = float("-inf")
        self._live: Live | None = None

    def iteration_started(self, plan: Plan) -> None:
        super().iteration_started(plan)
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self.tick()

    def tick(self) -> None:
        now = self._clock()
        if self._live is not None and now - self._drawn >= REFRESH_SECONDS:
            self._drawn = now
            rows = max(1, min(MOST_ROWS, self._console.height - 6))
            self._live.update(view(self.progress, self._names, now, rows), refresh=True)

    def say(self, message: str) -> None:
        self._console.print(Text(printable(message)))

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def view(progress: Progress, names: Mapping[str, str], now: float, most_rows: int = MOST_ROWS) -> Group:
    """What is on the screen at ``now``."""
    head = Table.grid(padding=(0, 2))
    head.add_row(
        ProgressBar(total=max(progress.total, 1), completed=progress.done, width=30),
        Text(f"{progress.done:,}/{progress.total:,} runs"),
        Text(", ".join(pace(progress, now)) or words.duration(now - progress.started)),
        Text(", ".join([*troubles(progress), *spending(progress)])),
    )
    shown = sorted(progress.scaffolds.items(), key=_best_first)[:most_rows]
    left_out = len(progress.scaffolds) - len(shown)
    note = [Text(f"... and {words.plural(left_out, 'scaffold')} more; the best are shown", "dim")] if left_out else []
    return Group(head, _scaffold_table(shown, progress, names), *note)


def _scaffold_table(shown: list[tuple[str, ScaffoldProgress]], progress: Progress, names: Mapping[str, str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    mean = f"{progress.split} mean" + ("" if progress.repeated else " [95%]")
    for header in ("scaffold", "name", "n", mean, "failures", "tokens"):
        table.add_column(header, justify="right" if header in ("n", "tokens") else "left", no_wrap=header != "failures")
    for scaffold_id, one in shown:
        found = one.scores.estimate()
        ci95 = None if progress.repeated else found.ci95
        bounds = f" [{words.number(ci95[0])}, {words.number(ci95[1])}]" if ci95 else ""
        cells = (
            scaffold_id,
            names.get(scaffold_id, ""),
            f"{found.n:,}",
            words.number(found.mean) + bounds,
            words.failures(one.statuses),
            f"{one.tokens:,}",
        )
        table.add_row(*map(Text, cells))
    return table


def _best_first(item: tuple[str, ScaffoldProgress]) -> tuple[bool, float, object]:
    scaffold_id, one = item
    return not one.scores.n, -one.scores.mean, scaffold_id_key(scaffold_id)
