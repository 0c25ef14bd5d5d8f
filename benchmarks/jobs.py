"""Jobs per second with the ``fake`` sandbox, beside a bare Celery task that does nothing, on the same Redis."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.experiments import noop_environment, noop_worker, redis_server, timed_session, worker, write_spec

JOBS = 1000
PROCESSORS = os.cpu_count() or 1
SLOTS = (PROCESSORS, 2 * PROCESSORS)
"""Celery's default, and Scaffoldry's: most of its jobs wait, for an engine, a model or a disk."""


def bare_celery(broker_url: str, jobs: int) -> float:
    """Seconds to send ``jobs`` no-op tasks and get every answer."""
    script = (
        "import time\nfrom benchmarks.noop import noop\nbegan = time.perf_counter()\n"
        f"pending = [noop.delay(n) for n in range({jobs})]\n"
        f"assert [p.get(timeout=120) for p in pending] == list(range({jobs}))\n"
        "print(time.perf_counter() - began)\n"
    )
    command, environment = [sys.executable, "-c", script], noop_environment(broker_url)
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def measure(folder: Path, rounds: int) -> list[dict[str, float]]:
    """A row for each number of slots: medians of jobs per second of both ways, and the median of their ratios."""
    spec = write_spec(folder / "spec", examples=JOBS // 20, scaffolds=20, sandbox="fake")
    rows = []
    with redis_server(folder) as url:
        for slots in SLOTS:
            rows.append({"slots": slots, **_row(_rates(folder, spec, url, slots, rounds))})
            print(json.dumps(rows[-1]), flush=True)
    return rows


def _rates(folder: Path, spec: Path, url: str, slots: int, rounds: int) -> list[tuple[float, float]]:
    """Jobs per second of each round: ours, and bare Celery's."""
    bare_url = url.removesuffix("/0") + "/1"
    pairs = []
    with worker(url, folder / "experiments", slots, "fake"), noop_worker(bare_url, slots):
        timed_session(spec, folder / "experiments", url)
        for _ in range(rounds):
            ours = JOBS / timed_session(spec, folder / "experiments", url)
            pairs.append((ours, JOBS / bare_celery(bare_url, JOBS)))
            time.sleep(0.5)
    return pairs


def _row(pairs: list[tuple[float, float]]) -> dict[str, float]:
    return {
        "scaffoldry": median(ours for ours, _ in pairs),
        "celery": median(theirs for _, theirs in pairs),
        "ratio": median(ours / theirs for ours, theirs in pairs),
    }
