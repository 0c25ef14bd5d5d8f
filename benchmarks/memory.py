"""The coordinator's peak memory at 1,000 and at 20,000 jobs."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.experiments import redis_server, worker, write_spec

EXAMPLES = 50
_SCRIPT = """
import re, sys
from pathlib import Path
from benchmarks.experiments import timed_session
seconds = timed_session(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
# Not getrusage: its peak is that of the process this one was started from, where that was larger.
kibibytes = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
print(kibibytes / 1024, seconds)
"""


def measure(folder: Path) -> list[dict[str, float]]:
    """One row for each size: jobs, peak resident memory of the coordinator's process in MiB, seconds."""
    rows = []
    with redis_server(folder) as url, worker(url, folder / "experiments", 2, "fake"):
        for jobs in (1_000, 20_000):
            spec = write_spec(folder / f"spec-{jobs}", EXAMPLES, jobs // EXAMPLES, "fake")
            arguments = [str(spec), str(folder / "experiments"), url]
            done = subprocess.run(
                [sys.executable, "-c", _SCRIPT, *arguments],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            mebibytes, seconds = map(float, done.stdout.split())
            rows.append({"jobs": jobs, "peak_mib": mebibytes, "seconds": seconds})
            print(json.dumps(rows[-1]), flush=True)
    return rows
