"""The coordinator's peak memory at 1,000 and at 20,000 jobs."""

import json
from pathlib import Path

from benchmarks.experiments import redis_server, session_in_a_process, worker, write_spec

EXAMPLES = 50


def measure(folder: Path) -> list[dict[str, float]]:
    """One row for each size: jobs, peak resident memory of the coordinator's process in MiB, seconds."""
    rows = []
    with redis_server(folder) as url, worker(url, folder / "experiments", 2, "fake"):
        for jobs in (1_000, 20_000):
            spec = write_spec(folder / f"spec-{jobs}", EXAMPLES, jobs // EXAMPLES, "fake")
            rows.append({"jobs": jobs, **session_in_a_process(spec, folder / "experiments", url)})
            print(json.dumps(rows[-1]), flush=True)
    return rows
