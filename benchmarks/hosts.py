"""Runs per second over one, two and three hosts, each with a network and a Docker engine of its own."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from celery import Celery

from benchmarks.experiments import SLEEPER, redis_server, session_with_files, wait_for_workers, write_spec
from shared.file_manager import ExperimentFileManager
from shared.queue import job_queue, make_app
from shared.volume import volume_id
from tests.multihost.lab import Host, Lab, bare_worker, can_be_held, copy_images, lab
from worker.sandbox.image import build_image

NAMES = ("lab1", "lab2", "lab3")
SLOTS = 1
"""Of each host. All hosts are this one machine, which has few processors; so one slot each, and a sleep that is long
beside a container's start, or the processors are what is measured."""
SHARE = 0.25
"""Of this machine's processors, that a host is held to where hosts are held, whether the others work or not: a host of
a lab is as large by itself as beside others. What three leave is the coordinator's and Redis's."""
RUNS = 24
"""For each host that takes part, so that each number of hosts is busy for as long; and that many, because at the end
some hosts wait for the last run of another."""
ROUNDS = 3
SECONDS = 0.5
WAYS = (("docker", True), ("docker", False), ("process", False))
"""The sandbox, and whether hosts are held: with containers, either way; and without, where a run takes so little of the
processors that hosts need not be held."""


class Round(NamedTuple):
    """What one round came to: runs per second, and the share of the processors that was busy."""

    rate: float
    busy: float


def measure(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """A row for each way and number of hosts: what each host was held to in processors, None where it was not; medians
    of runs/s, of the speed-up, of its share of linear, and of how busy the machine's processors were.

    Needs root.
    """
    if not can_be_held():
        raise SystemExit(
            "Hosts are held by control groups of version 1, and there are none here; nothing was measured."
        )
    rows: list[dict[str, Any]] = []
    image = build_image(lambda message: None)
    for sandbox, held in WAYS:
        own = folder / f"{sandbox}-{'held' if held else 'free'}"
        own.mkdir()
        processors = SHARE * (os.cpu_count() or 1) if held else None
        with lab(*NAMES, processors=processors) as made, redis_server(own, made.address) as url:
            copy_images(made.hosts, image)
            for host in made.hosts:
                bare_worker(host, url, SLOTS, sandbox)
            wait_for_workers(url, len(NAMES))
            found = _rounds(own, made, url, rounds, sandbox)
        for count in found:
            rows.append({"sandbox": sandbox, "processors": processors, **row(count, found)})
            print(json.dumps(rows[-1]), flush=True)
    return rows


def row(hosts: int, rounds: dict[int, list[Round]]) -> dict[str, float]:
    """The medians of a number of hosts' rounds, and of their ratios, round by round, to one host's."""
    speedup = median(many.rate / one.rate for many, one in zip(rounds[hosts], rounds[1], strict=True))
    return {
        "hosts": hosts,
        "rate": median(one.rate for one in rounds[hosts]),
        "speedup": speedup,
        "linear": speedup / hosts,
        "busy": median(one.busy for one in rounds[hosts]),
    }


def _rounds(folder: Path, made: Lab, url: str, rounds: int, sandbox: str) -> dict[int, list[Round]]:
    """What each round came to, by the number of hosts that took part."""
    code = SLEEPER.format(seconds=SECONDS)
    counts = range(1, len(NAMES) + 1)
    specs = {count: write_spec(folder / f"spec-{count}", RUNS * count, 1, sandbox, code) for count in counts}
    found: dict[int, list[Round]] = {count: [] for count in counts}
    app, queue = make_app(url), job_queue(volume_id(made.volume), sandbox)
    session_with_files(specs[len(NAMES)], made.volume, url)
    for number in range(rounds):
        # There and back, so that what changes with time falls on all alike.
        for count in counts if number % 2 else reversed(counts):
            with _idle(app, queue, made.hosts[count:]):
                before = _processor_time()
                seconds, files = session_with_files(specs[count], made.volume, url)
                busy, idle = (now - then for now, then in zip(_processor_time(), before, strict=True))
                found[count].append(Round(count * RUNS / seconds, busy / (busy + idle)))
            check_workers(files, {host.name for host in made.hosts[:count]})
    return found


def check_workers(files: ExperimentFileManager, hosts: set[str]) -> None:
    """SystemExit unless those hosts, all of them and no other, made the runs of an experiment."""
    found = {str(result.worker) for result in files.results(0, "0")}
    if found != hosts:
        raise SystemExit(
            f"A round was for {', '.join(sorted(hosts))}, and its runs were made by {', '.join(sorted(found))}; "
            "nothing was measured."
        )


def _processor_time() -> tuple[int, int]:
    """Ticks in which this machine's processors were busy, and in which they were not, since it started."""
    # user, nice, system, idle, iowait, irq, softirq, steal; see proc_stat(5)
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, idle


@contextmanager
def _idle(app: Celery, queue: str, hosts: Sequence[Host]) -> Iterator[None]:
    """The workers of these hosts take no jobs while the context lasts."""
    with ExitStack() as stack:
        for host in hosts:
            where = {"destination": [f"worker@{host.name}"], "reply": True, "timeout": 5.0}
            if not app.control.cancel_consumer(queue, **where):
                raise SystemExit(f"The worker of {host.name} does not answer; nothing was measured.")
            stack.callback(app.control.add_consumer, queue, **where)
        time.sleep(1.5)  # until the question ends that a worker has open at Redis
        yield
