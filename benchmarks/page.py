"""``docs/benchmarks.md``, written from what was measured."""

import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from benchmarks import containers, fairness, hosts, jobs, loop, memory

ROUNDS = 5
"""Turns of those sections whose sides take turns; ``hosts`` has its own number."""

Row = Mapping[str, float]


def render(figures: Mapping[str, Any]) -> str:
    """The page from the figures of each section: what its ``measure`` found, and on which ``machine``, which day."""
    parts = [
        "# Benchmarks",
        "`make bench` measures all of this and writes this page; `make bench ARGS=hosts` renews one section. Absolute "
        "figures belong to the machine that is named below each; the ratios are what travels. Where two sides are "
        f"compared they take turns in one run, {ROUNDS} times ({hosts.ROUNDS} times for several hosts), and the median "
        "of the ratios is given. The coordinator's memory and its time for an iteration are measured once.",
    ]
    for name, section in SECTIONS.items():
        parts += [*section(figures[name]["found"]), f"Measured on {figures[name]['machine']}."]
    return "\n\n".join(parts) + "\n"


def _containers(rows: Sequence[Row]) -> list[str]:
    return [
        "## Containers",
        f"{containers.RUNS} runs for each slot of a scaffold that calls no model, through coordinator, Celery, Redis, "
        "Docker and commit, beside a thread pool of the `docker run` command with the same limits and as many at once: "
        "on its default network, needed by a scaffold that calls its model itself, and with `--network none`, where it "
        "could call none. Nearly all the time is the engine's on every side.",
        table(
            ("at once", "Scaffoldry, runs/s", "`docker run`", "`--network none`", "ratio", "ratio to none"),
            [
                (
                    f"{row['at_once']:g}",
                    *(f"{row[name]:.1f}" for name in ("scaffoldry", "bridge", "none")),
                    *(f"{row[name]:.2f}" for name in ("ratio_bridge", "ratio_none")),
                )
                for row in rows
            ],
        ),
    ]


def _jobs(rows: Sequence[Row]) -> list[str]:
    return [
        "## Jobs",
        f"{jobs.JOBS:,} jobs through everything but a container (the `fake` sandbox): looked up, logged, scored, "
        "committed durably and aggregated; beside as many bare Celery tasks that do nothing, with Celery's defaults "
        f"and as many slots, on the same Redis. {jobs.SLOTS[0]} slots are Celery's default on this machine, "
        f"{jobs.SLOTS[1]} are Scaffoldry's. Each of ours makes two files and waits for the disk once; on ext4 that "
        "takes several times as long for some minutes after thousands of files were deleted nearby.",
        table(
            ("slots", "Scaffoldry, jobs/s", "bare Celery, tasks/s", "ratio"),
            [
                (f"{row['slots']}", f"{row['scaffoldry']:.0f}", f"{row['celery']:.0f}", f"{row['ratio']:.2f}")
                for row in rows
            ],
        ),
    ]


def _hosts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        "## Several hosts",
        f"A scaffold that sleeps {hosts.SECONDS:g} s, {hosts.RUNS} runs for each host that takes part. The hosts are "
        "made on this machine of namespaces, each with a network, an engine and a path to the volume of its own, and "
        f"a worker with {hosts.SLOTS} slot. Hosts that *share* this machine's processors get less of them the more "
        "there are, which hosts of a lab do not. So they are also *held* to a part each, by a quota of their control "
        "group, and one is no larger by itself than beside the others. That makes every rate lower, that of one "
        "host too: it says how speed grows with hosts, not how fast one is. There, what hosts of a lab share (queue, "
        "volume, coordinator) is to leave 0.9 of linear at least, as it is without containers (the `process` "
        "sandbox), whose "
        "runs take little of a processor. How busy the whole machine was stands beside it.",
        table(
            ("sandbox", "processors of a host", "hosts", "runs/s", "speed-up", "of linear", "processors busy"),
            [
                (
                    f"`{row['sandbox']}`",
                    "shared" if row["processors"] is None else f"held to {row['processors']:g}",
                    f"{row['hosts']:g}",
                    *(f"{row[name]:.2f}" for name in ("rate", "speedup", "linear")),
                    f"{row['busy']:.0%}",
                )
                for row in rows
            ],
        ),
    ]


def _fairness(row: Row) -> list[str]:
    return [
        "## Sharing the workers",
        f"An experiment of {fairness.SMALL} runs, started while one of {fairness.LARGE:,} holds all {fairness.SLOTS} "
        f"slots, beside the same one alone; a run sleeps {fairness.SECONDS:g} s (the `process` sandbox). A fair share "
        "is half of the workers, so 2 is what the ratio would be if nothing of the large one lay on the queue before "
        f"it. And the time from `cancel` until none of {fairness.SLOTS} containers of an experiment is left.",
        table(
            ("alone, s", "beside the large one, s", "ratio", "cancel, s"),
            [tuple(f"{row[name]:.1f}" for name in ("alone", "beside", "ratio", "cancel"))],
        ),
    ]


def _memory(rows: Sequence[Row]) -> list[str]:
    return [
        "## The coordinator's memory",
        f"Peak resident memory of the coordinator's process, {memory.EXAMPLES} examples for each scaffold.",
        table(
            ("jobs", "peak, MiB", "seconds"),
            [(f"{row['jobs']:,}", f"{row['peak_mib']:.0f}", f"{row['seconds']:.0f}") for row in rows],
        ),
    ]


def _loop(rows: Sequence[Row]) -> list[str]:
    return [
        "## The coordinator's time for an iteration",
        f"What the coordinator itself takes for one iteration: selecting {loop.TOP_K} parents of all there are, "
        f"reading what they did, proposing {loop.TOP_K * loop.CHILDREN} children with `mutate`, sending their "
        f"{loop.EXAMPLES} runs each and aggregating them. The time of the runs is left out.",
        table(
            ("scaffolds before it", "seconds"),
            [(f"{row['scaffolds']:,}", f"{row['seconds']:.2f}") for row in rows],
        ),
    ]


SECTIONS: Mapping[str, Callable[[Any], list[str]]] = {
    "containers": _containers,
    "jobs": _jobs,
    "hosts": _hosts,
    "fairness": _fairness,
    "memory": _memory,
    "loop": _loop,
}
"""In the page's order."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """This machine in words, and the day."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    version = ["docker", "version", "--format", "{{.Server.Version}}"]
    engine = subprocess.run(version, capture_output=True, text=True, check=True).stdout.strip()
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}, Docker {engine}, "
        f"Python {platform.python_version()}, {today}"
    )
