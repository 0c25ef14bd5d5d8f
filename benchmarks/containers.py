"""Runs per second through coordinator, Celery, Docker and commit, beside a thread pool of ``docker run``."""

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from benchmarks.experiments import SCAFFOLD, redis_server, timed_session, worker, write_spec
from shared.runtime import read_runtime_files
from worker.sandbox.image import build_image

RUNS = 48


def docker_run_pool(image: str, scaffold: Path, at_once: int, runs: int) -> float:
    """Seconds for ``runs`` times the ``docker run`` that a person would write, with our limits, ``at_once`` at once."""
    command = [
        *("docker", "run", "--rm", "-i", "--network", "none", "--read-only", "--tmpfs", "/tmp:rw,size=64m"),
        *("--memory", "512m", "--memory-swap", "512m", "--cpus", "1", "--pids-limit", "128", "--ipc", "none"),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "65534:65534", "--init"),
        *("-v", f"{scaffold}:/workspace/scaffold:ro", "--workdir", "/workspace/scaffold", image),
        *("python3", "-c", "import sys, scaffold; print(scaffold.process_input(sys.stdin.read()))"),
    ]

    def one(number: int) -> None:
        done = subprocess.run(command, input=f"line {number}", capture_output=True, text=True, check=True)
        if done.stdout.strip() != f"LINE {number}":
            raise SystemExit(f"docker run answered {done.stdout!r}; nothing was measured.")

    began = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(one, range(runs)))
    return time.perf_counter() - began


def measure(folder: Path, rounds: int) -> list[dict[str, float]]:
    """One row for 1, 2 and 4 at once: medians of runs per second of both ways, and the median of their ratios."""
    image = build_image(lambda message: None)
    spec = write_spec(folder / "spec", examples=RUNS, scaffolds=1, sandbox="docker")
    scaffold = folder / "by-hand"
    scaffold.mkdir()
    for name, text in {**read_runtime_files(), "scaffold.py": SCAFFOLD}.items():
        (scaffold / name).write_text(text)
    rows = []
    with redis_server(folder) as url:
        for slots in (1, 2, 4):
            pairs = []
            with worker(url, folder / "experiments", slots, "docker"):
                timed_session(spec, folder / "experiments", url)
                for _ in range(rounds):
                    ours = RUNS / timed_session(spec, folder / "experiments", url)
                    theirs = RUNS / docker_run_pool(image, scaffold, slots, RUNS)
                    pairs.append((ours, theirs))
            rows.append(
                {
                    "at_once": slots,
                    "scaffoldry": median(ours for ours, _ in pairs),
                    "docker_run": median(theirs for _, theirs in pairs),
                    "ratio": median(ours / theirs for ours, theirs in pairs),
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    return rows
