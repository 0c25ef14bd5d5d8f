"""Jobs per second with the ``fake`` sandbox, beside a bare Celery task that does nothing, on the same Redis."""

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.experiments import noop_environment, noop_worker, redis_server, timed_session, worker, write_spec

JOBS = 1000
SLOTS = 2


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


def measure(folder: Path, rounds: int) -> dict[str, float]:
    """Medians of jobs per second of both ways, and the median of their ratios."""
    spec = write_spec(folder / "spec", examples=JOBS // 20, scaffolds=20, sandbox="fake")
    pairs = []
    with redis_server(folder) as url:
        bare_url = url.removesuffix("/0") + "/1"
        with worker(url, folder / "experiments", SLOTS, "fake"), noop_worker(bare_url, SLOTS):
            timed_session(spec, folder / "experiments", url)
            for _ in range(rounds):
                ours = JOBS / timed_session(spec, folder / "experiments", url)
                pairs.append((ours, JOBS / bare_celery(bare_url, JOBS)))
                time.sleep(0.5)
    row = {
        "scaffoldry": median(ours for ours, _ in pairs),
        "celery": median(theirs for _, theirs in pairs),
        "ratio": median(ours / theirs for ours, theirs in pairs),
    }
    print(json.dumps(row), flush=True)
    return row
