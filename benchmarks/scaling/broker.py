"""What a worker and a job cost at Redis, on the coordinator's processor and on the volume."""

import gc
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from redis import Redis

from benchmarks.experiments import redis_server, session_in_a_process, worker, write_spec
from coordinator.celery_queue import CeleryQueue
from shared.leases import PREFIX
from shared.models import Job
from shared.queue import make_app

SLOTS = 2
MORE_SLOTS = 6
IDLE_SECONDS = 20.0
EXAMPLES = 1_000
SCAFFOLDS = (1, 10)
WAITING = (1_000, 16_000)
"""Jobs on a queue that nobody takes: the window of 250 slots, and of 4,000."""
RESULTS = "celery-task-meta-"


def measure(folder: Path) -> Iterator[dict[str, Any]]:
    """Rows about an idle worker, about jobs, and about jobs that wait."""
    with redis_server(folder) as url, Redis.from_url(url) as redis:
        data_dir = folder / "experiments"
        warm = write_spec(folder / "spec-warm", 60, 1, "fake")
        yield {**_idle(redis, 0), "what": "no worker"}
        with worker(url, data_dir, MORE_SLOTS, "fake"):
            session_in_a_process(warm, data_dir, url)
            yield _idle(redis, MORE_SLOTS)
        with worker(url, data_dir, SLOTS, "fake"):
            session_in_a_process(warm, data_dir, url)
            yield _idle(redis, SLOTS)
            for scaffolds in SCAFFOLDS:
                spec = write_spec(folder / f"spec-{scaffolds}", EXAMPLES, scaffolds, "fake")
                yield _busy(redis, spec, data_dir, url, EXAMPLES * scaffolds)
        yield {"what": "volume", **_on_the_volume(data_dir)}
        for jobs in WAITING:
            redis.flushdb()
            yield _waiting(redis, url, jobs)
            gc.collect()  # answers that are waited for no more are signed off, while there is a Redis


def _idle(redis: "Redis", slots: int) -> dict[str, Any]:
    """What a worker that waits for jobs does at Redis; its connections, after it has had some."""
    gc.collect()  # connections that only asked whether the worker is there
    before = _counters(redis)
    time.sleep(IDLE_SECONDS)
    after = _counters(redis)
    return {
        "what": "idle worker",
        "slots": slots,
        "connections": redis.info("clients")["connected_clients"] - 1,
        "commands_per_second": _difference(before["calls"], after["calls"], IDLE_SECONDS),
        "redis_bytes": redis.info("memory")["used_memory"],
        "bytes_per_second": (after["bytes"] - before["bytes"]) / IDLE_SECONDS,
        "redis_cpu_per_second": (after["cpu"] - before["cpu"]) / IDLE_SECONDS,
    }


def _busy(redis: "Redis", spec: Path, data_dir: Path, url: str, jobs: int) -> dict[str, Any]:
    """What a job costs, the worker's own idling left in; memory of the keys that it leaves for a while."""
    before, memory = _counters(redis), redis.info("memory")["used_memory"]
    taken = session_in_a_process(spec, data_dir, url)
    after = _counters(redis)
    return {
        "what": "jobs",
        "jobs": jobs,
        **taken,
        "cpu_ms_per_job": 1000 * taken["cpu"] / jobs,
        "commands_per_job": _difference(before["calls"], after["calls"], jobs),
        "bytes_per_job": (after["bytes"] - before["bytes"]) / jobs,
        "redis_cpu_ms_per_job": 1000 * (after["cpu"] - before["cpu"]) / jobs,
        "redis_bytes_left": redis.info("memory")["used_memory"] - memory,
        "keys_left": {prefix: _keys(redis, prefix) for prefix in (RESULTS, PREFIX)},
    }


def _waiting(redis: "Redis", url: str, jobs: int) -> dict[str, Any]:
    """Jobs that were sent and that nobody takes: memory on both sides, and what the look for lost ones takes.

    Seconds here are the coordinator's processor's."""
    name, app = "scaling", make_app(url, "scaling")
    attempts = [
        (Job(experiment="bench_20260101-000000", iteration=0, scaffold_id="2-0-1", run_type=f"valid_{n}"), 1)
        for n in range(jobs)
    ]
    with CeleryQueue(app, url) as queue:
        queue.send(*attempts[0])
        memory, own, began = redis.info("memory")["used_memory"], _resident(), time.process_time()
        for attempt in attempts[1:]:
            queue.send(*attempt)
        sent, grown = time.process_time() - began, redis.info("memory")["used_memory"] - memory
        looks = [_cpu_seconds_of_a_look(queue, attempts) for _ in range(3)]
        return {
            "what": "waiting jobs",
            "jobs": jobs,
            "send_cpu_ms": 1000 * sent / jobs,
            "redis_bytes_per_job": grown / jobs,
            "message_bytes": redis.memory_usage(name, samples=0) / jobs,
            "coordinator_bytes_per_job": (_resident() - own) / jobs,
            "look_cpu_seconds": median(looks),
        }


def _cpu_seconds_of_a_look(queue: CeleryQueue, attempts: list[tuple[Job, int]]) -> float:
    began = time.process_time()
    if not all(sighting.waiting for sighting in (queue.sightings(attempts) or {}).values()):
        raise SystemExit("A job that waits was taken for lost; nothing was measured.")
    return time.process_time() - began


def _counters(redis: "Redis") -> dict[str, Any]:
    stats, cpu = redis.info("stats"), redis.info("cpu")
    calls = {name.removeprefix("cmdstat_"): one["calls"] for name, one in redis.info("commandstats").items()}
    return {
        "calls": {name: count for name, count in calls.items() if name != "info"},
        "bytes": stats["total_net_input_bytes"] + stats["total_net_output_bytes"],
        "cpu": cpu["used_cpu_sys"] + cpu["used_cpu_user"],
    }


def _difference(before: dict[str, int], after: dict[str, int], by: float) -> dict[str, float]:
    """How much each has grown, divided; what comes to nearly nothing is left out."""
    grown = {name: (count - before.get(name, 0)) / by for name, count in after.items()}
    return {name: round(share, 3) for name, share in sorted(grown.items(), key=lambda one: -one[1]) if share >= 0.01}


def _keys(redis: "Redis", prefix: str) -> dict[str, float]:
    keys = list(redis.scan_iter(f"{prefix}*", count=10_000))
    sizes = [redis.memory_usage(key) or 0 for key in keys[:100]]
    return {"count": len(keys), "bytes_each": median(sizes) if sizes else 0}


def _on_the_volume(data_dir: Path) -> dict[str, Any]:
    """Bytes of a run's files, as long as they are and as the file system stores them."""
    found: dict[str, Any] = {}
    for kind, pattern in {"result": "*/results/*/*/*.json", "log": "*/logs/*/*/*.log", "plan": "*/plans/*"}.items():
        states = [path.stat() for path in data_dir.glob(pattern)]
        found[kind] = {
            "files": len(states),
            "bytes_each": sum(one.st_size for one in states) / len(states),
            "stored_each": 512 * sum(one.st_blocks for one in states) / len(states),
        }
    return found


def _resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
