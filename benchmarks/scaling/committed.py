"""What an experiment's committed runs cost whoever aggregates it or resumes it."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.experiments import Silent, write_spec
from benchmarks.loop import InstantQueue
from coordinator.experiment import create, prepare
from coordinator.loop import Loop

EXAMPLES = 1_000
SCAFFOLDS = (1, 10, 50)
_SCRIPT = "import sys; from benchmarks.scaling.committed import {0}; {0}(sys.argv[1])"


def measure(folder: Path) -> Iterator[dict[str, Any]]:
    """A row for each number of committed runs: seconds of processor time and peak memory, aggregating and resuming."""
    for scaffolds in SCAFFOLDS:
        spec = write_spec(folder / f"committed-{scaffolds}", EXAMPLES, scaffolds, "fake")
        files = create(prepare(spec), folder / "experiments", image=None)
        with patch.object(os, "fsync"):  # it is not the writing that is measured
            Loop(files, InstantQueue(files), Silent()).run()
        row = {"what": "committed", "runs": EXAMPLES * scaffolds}
        for name in ("aggregated", "resumed"):
            command = [sys.executable, "-c", _SCRIPT.format(name), str(files)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            row[name] = json.loads(done.stdout)
        yield row


def aggregated(directory: str) -> None:
    """Aggregate the first iteration and print what that took."""
    from coordinator.aggregate import aggregate
    from shared.file_manager import ExperimentFileManager

    _timed(lambda: aggregate(ExperimentFileManager.open(Path(directory)), 0))


def resumed(directory: str) -> None:
    """Go through the loop with all runs committed and print what that took."""
    from shared.file_manager import ExperimentFileManager

    files = ExperimentFileManager.open(Path(directory))
    _timed(lambda: Loop(files, InstantQueue(files), Silent()).run())


def _timed(work: Any) -> None:
    began = time.process_time()
    work()
    seconds = time.process_time() - began
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])  # type: ignore[index]
    print(json.dumps({"cpu_seconds": seconds, "peak_mib": peak / 1024}))
