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

RUNS = 20
"""For each of those at once, so that beginning and end of a session weigh the same however many there are."""


def docker_run_pool(image: str, scaffold: Path, at_once: int, runs: int, network: str) -> float:
    """Seconds for ``runs`` times the ``docker run`` that a person would write, with our limits, ``at_once`` at once.

    ``network``: ``bridge``, Docker's default, which a scaffold needs that calls its model itself, or ``none``.
    """
    command = [
        *("docker", "run", "--rm", "-i", "--network", network, "--read-only", "--tmpfs", "/tmp:rw,size=64m"),
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
    """One row for 1, 2 and 4 at once: medians of runs per second of all ways, and the medians of the ratios."""
    image = build_image(lambda message: None)
    scaffold = folder / "by-hand"
    scaffold.mkdir()
    for name, text in {**read_runtime_files(), "scaffold.py": SCAFFOLD}.items():
        (scaffold / name).write_text(text)
    rows = []
    with redis_server(folder) as url:
        for slots in (1, 2, 4):
            runs = slots * RUNS
            spec = write_spec(folder / f"spec-{slots}", examples=runs, scaffolds=1, sandbox="docker")
            rates = []
            with worker(url, folder / "experiments", slots, "docker"):
                timed_session(spec, folder / "experiments", url)
                for _ in range(rounds):
                    ours = runs / timed_session(spec, folder / "experiments", url)
                    bridge, none = (
                        runs / docker_run_pool(image, scaffold, slots, runs, network) for network in ("bridge", "none")
                    )
                    rates.append((ours, bridge, none))
            rows.append(row(slots, rates))
            print(json.dumps(rows[-1]), flush=True)
    return rows


def row(slots: int, rates: list[tuple[float, float, float]]) -> dict[str, float]:
    """The medians of runs per second (ours, bridge, none) and of the ratios round by round."""
    return {
        "at_once": slots,
        "scaffoldry": median(ours for ours, _, _ in rates),
        "bridge": median(bridge for _, bridge, _ in rates),
        "none": median(none for _, _, none in rates),
        "ratio_bridge": median(ours / bridge for ours, bridge, _ in rates),
        "ratio_none": median(ours / none for ours, _, none in rates),
    }
