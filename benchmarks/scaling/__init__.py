"""What grows with hosts, jobs and examples: the figures that ``docs/scaling.md`` is written from."""

import json
from pathlib import Path
from typing import Any

from benchmarks.scaling import broker, committed, examples, workers


def measure(folder: Path) -> list[dict[str, Any]]:
    """A row for each thing measured; ``what`` says what it is."""
    rows = []
    for part in (broker, workers, examples, committed):
        for row in part.measure(folder):
            rows.append(row)
            print(json.dumps(row), flush=True)
    return rows
