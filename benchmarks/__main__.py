"""``python -m benchmarks``: measure everything side by side and write ``docs/benchmarks.md``."""

import os
import platform
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import containers, jobs, loop, memory

ROUNDS = 5
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def main() -> None:
    """Measure and write the page; every figure is also printed as it comes."""
    with tempfile.TemporaryDirectory(prefix="scaffoldry-bench-") as name:
        folders = [Path(name) / part for part in ("containers", "jobs", "memory", "loop")]
        for folder in folders:
            folder.mkdir()
        page = render(
            containers.measure(folders[0], ROUNDS),
            jobs.measure(folders[1], ROUNDS),
            memory.measure(folders[2]),
            loop.measure(folders[3]),
        )
    PAGE.write_text(page)
    print(f"Written: {PAGE}")


def render(
    container_rows: Sequence[dict[str, float]],
    job_row: dict[str, float],
    memory_rows: Sequence[dict[str, float]],
    loop_rows: Sequence[dict[str, float]],
) -> str:
    """The page."""
    parts = [
        "# Benchmarks",
        f"`make bench` measures all of this and writes this page. Measured on {machine()}. Absolute figures belong to "
        f"that machine; the ratios are what travels: both sides take turns in one run, {ROUNDS} times, and the median "
        "of the ratios is given.",
        "## Containers",
        f"{containers.RUNS} runs of a scaffold that calls no model, through coordinator, Celery, Redis, Docker and "
        "commit, beside a thread pool of the `docker run` command with the same limits and as many at once: on its "
        "default network, needed by a scaffold that calls its model itself, and with `--network none`, where it could "
        "call none. Nearly all the time is the engine's on every side.",
        table(
            ("at once", "Scaffoldry, runs/s", "`docker run`", "`--network none`", "ratio", "ratio to none"),
            [
                (
                    f"{row['at_once']:g}",
                    *(f"{row[name]:.1f}" for name in ("scaffoldry", "bridge", "none")),
                    *(f"{row[name]:.2f}" for name in ("ratio_bridge", "ratio_none")),
                )
                for row in container_rows
            ],
        ),
        "## Jobs",
        f"{jobs.JOBS:,} jobs through everything but a container (the `fake` sandbox): looked up, logged, scored, "
        f"committed durably and aggregated, over {jobs.SLOTS} slots; beside as many bare Celery tasks that do nothing, "
        "with Celery's defaults, on the same Redis.",
        table(
            ("Scaffoldry, jobs/s", "bare Celery, tasks/s", "ratio"),
            [(f"{job_row['scaffoldry']:.0f}", f"{job_row['celery']:.0f}", f"{job_row['ratio']:.2f}")],
        ),
        "## The coordinator's memory",
        f"Peak resident memory of the coordinator's process, {memory.EXAMPLES} examples for each scaffold.",
        table(
            ("jobs", "peak, MiB", "seconds"),
            [(f"{row['jobs']:,}", f"{row['peak_mib']:.0f}", f"{row['seconds']:.0f}") for row in memory_rows],
        ),
        "## The coordinator's time for an iteration",
        f"What the coordinator itself takes for one iteration: selecting {loop.TOP_K} parents of all there are, "
        f"reading what they did, proposing {loop.TOP_K * loop.CHILDREN} children with `mutate`, sending their "
        f"{loop.EXAMPLES} runs each and aggregating them. The time of the runs is left out.",
        table(
            ("scaffolds before it", "seconds"),
            [(f"{row['scaffolds']:,}", f"{row['seconds']:.2f}") for row in loop_rows],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """This machine in words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    version = ["docker", "version", "--format", "{{.Server.Version}}"]
    engine = subprocess.run(version, capture_output=True, text=True, check=True).stdout.strip()
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}, Docker {engine}, "
        f"Python {platform.python_version()}, {today}"
    )


if __name__ == "__main__":
    main()
