"""How long it takes to hear of many workers, whose answers one thread gives in the place of all."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import shared
from benchmarks.experiments import redis_server
from coordinator.workers import Workers
from shared.models import Job
from shared.models.worker_state import JobUnderWay, WorkerState
from shared.queue import job_queue, make_app
from shared.volume import volume_id

COUNTS = (10, 100, 1000)
RUNS = 4
"""What each of them runs."""
SILENCE = 1.0
"""Seconds without an answer after which ``scaffoldry workers`` takes it that all have answered."""


def measure(folder: Path) -> Iterator[dict[str, Any]]:
    """A row for each number of workers: how many were heard of, and in how many seconds without the last silence."""
    data_dir = folder / "nobodys"
    data_dir.mkdir()
    with redis_server(folder) as url:
        for count in COUNTS:
            with _crowd(url, data_dir, count):
                asking = Workers(make_app(url), data_dir)
                began = time.perf_counter()
                heard = len(asking.ask(SILENCE))
                seconds = time.perf_counter() - began - SILENCE
            yield {"what": "workers", "workers": count, "heard": heard, "seconds": seconds}


@contextmanager
def _crowd(url: str, data_dir: Path, count: int) -> Iterator[None]:
    """Answers as so many workers would."""
    app = make_app(url)
    states = {
        f"worker@host{n}": _state(f"host{n}", job_queue(volume_id(data_dir), "docker"), volume_id(data_dir))
        for n in range(count)
    }
    ended, ready = threading.Event(), threading.Event()

    def answer() -> None:
        with app.connection_for_read() as connection:
            mailbox: Any = app.control.mailbox(connection)
            node = mailbox.Node("crowd", channel=connection.default_channel)

            def hear(body: dict[str, Any], message: Any) -> None:
                to = body["reply_to"]
                for name, state in states.items():
                    node.reply({name: state}, to["exchange"], to["routing_key"], body["ticket"])

            with node.listen(callback=hear):
                ready.set()
                while not ended.is_set():
                    try:
                        connection.drain_events(timeout=0.1)
                    except TimeoutError:
                        continue

    thread = threading.Thread(target=answer)
    thread.start()
    ready.wait(10)
    time.sleep(0.5)  # its subscription is read by Redis
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _state(host: str, queue: str, volume: str) -> dict[str, Any]:
    job = Job(experiment="bench_20260101-000000", iteration=0, scaffold_id="2-0-1", run_type="valid_1")
    jobs = (JobUnderWay(job=job, seconds=1.0),) * RUNS
    state = WorkerState(
        name=host,
        version=shared.__version__,
        instance=host,
        host=host,
        queue=queue,
        volume=volume,
        slots=RUNS,
        sandbox="docker",
        jobs=jobs,
        clock=datetime.now(UTC),
    )
    return state.model_dump(mode="json")
