"""Workers that answer over a control channel of their own: no broker, no process."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import shared
from shared.models.worker_state import WorkerState
from shared.queue import job_queue
from shared.volume import VolumeProbe, volume_id

Reply = Callable[[dict[str, Any]], Any]
"""A worker's answer to a question."""


class FakeApp:
    """Stands for the Celery app and its control: node name -> what answers there, in order; names may come twice."""

    def __init__(self, *workers: tuple[str, Reply]) -> None:
        self.control = self
        self.workers = workers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def broadcast(
        self,
        command: str,
        arguments: dict[str, Any],
        callback: Callable[[Any], None] | None = None,
        destination: list[str] | None = None,
        **options: Any,
    ) -> list[dict[str, Any]]:
        self.asked.append((command, arguments))
        replies = [
            {node: answer({"command": command, **arguments})}
            for node, answer in self.workers
            if destination is None or node in destination
        ]
        for reply in replies if callback else ():
            callback(reply)  # type: ignore[misc]
        return replies


def worker(name: str, data_dir: Path, *, ahead: float = 0.0, findings: Any = (), **said: Any) -> tuple[str, Reply]:
    """A worker with that data directory, whose clock is ``ahead``; ``said`` overrides what it says."""
    volume = volume_id(data_dir)

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        if question.get("command") == "scaffoldry_checks":
            return {"findings": findings}
        problem = None
        if "probe" in question:
            problem = VolumeProbe(data_dir, question["probe"]).answer(question["token"], name)
        state = {
            "name": name,
            "version": shared.__version__,
            "instance": f"{name} in {data_dir}",
            "host": name,
            "queue": job_queue(volume, said.get("sandbox", "docker")),
            "sandbox": "docker",
            "volume": volume,
            "volume_problem": problem,
            "slots": 2,
            "clock": datetime.fromtimestamp(time.time() + ahead, UTC),
            **said,
        }
        return WorkerState.model_validate(state).model_dump(mode="json")

    return f"worker@{name}", answer


def stranger(name: str, record: Any) -> tuple[str, Reply]:
    """A worker of another version, which answers something else."""
    return name, lambda question: record
