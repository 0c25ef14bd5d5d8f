"""A small experiment started while a large one holds all workers, beside itself alone; and the time of ``cancel``."""

import gc
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.experiments import SLEEPER, Silent, redis_server, timed_session, worker, write_spec
from coordinator.experiment import create, prepare
from coordinator.session import cancel, run_session
from shared.file_manager import ExperimentFileManager

LARGE = 10_000
SMALL = 10
SLOTS = 4
SECONDS = 0.2
"""What a run takes: a sleep, as most of a run's time is spent waiting for its model."""


def measure(folder: Path, rounds: int) -> dict[str, float]:
    """Medians: seconds of the small experiment alone and beside the large one, their ratio, and those of ``cancel``."""
    with redis_server(folder) as url:
        pairs = _turns(folder / "turns", url, rounds)
        stops = _stops(folder / "stops", url, rounds)
    row = {
        "alone": median(alone for alone, _ in pairs),
        "beside": median(beside for _, beside in pairs),
        "ratio": median(beside / alone for alone, beside in pairs),
        "cancel": median(stops),
    }
    print(json.dumps(row), flush=True)
    return row


def _turns(folder: Path, url: str, rounds: int) -> list[tuple[float, float]]:
    """Seconds of the small experiment, alone and beside the large one."""
    code, data_dir = SLEEPER.format(seconds=SECONDS), folder / "experiments"
    small = write_spec(folder / "small", SMALL, 1, "process", code)
    large = write_spec(folder / "large", LARGE, 1, "process", code)
    pairs = []
    with worker(url, data_dir, SLOTS, "process"):
        timed_session(small, data_dir, url)
        for _ in range(rounds):
            alone = timed_session(small, data_dir, url)
            files = create(prepare(large), data_dir, image=None)
            with _running(files, data_dir, url, lambda files: len(files.committed_run_types(0, "0")) >= 4 * SLOTS):
                pairs.append((alone, timed_session(small, data_dir, url)))
    return pairs


def _stops(folder: Path, url: str, rounds: int) -> list[float]:
    """Seconds from the word ``cancel`` until no container of an experiment is left that had one in every slot."""
    data_dir, stops = folder / "experiments", []
    spec = write_spec(folder / "spec", 4 * SLOTS, 1, "docker", SLEEPER.format(seconds=600))
    with worker(url, data_dir, SLOTS, "docker"):
        for _ in range(rounds):
            files = create(prepare(spec), data_dir, image=None)
            with _running(files, data_dir, url, lambda files: _containers(files) == SLOTS):
                began = time.perf_counter()
                word = threading.Thread(target=cancel, args=(files, url))
                word.start()
                while _containers(files):
                    continue
                stops.append(time.perf_counter() - began)
                word.join()
    return stops


def _containers(files: ExperimentFileManager) -> int:
    question = ["docker", "ps", "--all", "--quiet", "--filter", f"label=scaffoldry.experiment={files.name}"]
    return len(subprocess.run(question, capture_output=True, text=True, check=True).stdout.split())


@contextmanager
def _running(
    files: ExperimentFileManager, data_dir: Path, url: str, until: Callable[[ExperimentFileManager], bool]
) -> Iterator[ExperimentFileManager]:
    """An experiment that is going on, once ``until`` holds; it is cancelled afterwards."""
    conduct = threading.Thread(
        target=run_session,
        args=(files, Silent()),
        kwargs={"data_dir": data_dir, "broker_url": url, "concurrency": 1, "wait": True},
    )
    conduct.start()
    try:
        while not until(files):
            time.sleep(0.05)
        yield files
    finally:
        cancel(files, url)
        conduct.join()
        gc.collect()  # answers that are waited for no more are signed off, while there is a Redis
