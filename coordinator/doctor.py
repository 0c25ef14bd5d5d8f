"""What ``doctor`` asks of the broker and of the workers that listen there."""

import secrets
from pathlib import Path
from typing import Any

from coordinator.report.words import command
from shared.errors import BrokerUnavailable
from shared.file_manager import ExperimentFileManager
from shared.models import Finding
from shared.queue import check_broker, make_app, without_password


def doctor_workers(broker_url: str | None, data_dir: Path) -> list[Finding]:
    """Whether the broker answers, and whether each worker does and shares this host's data directory.

    Raises OSError where nothing can be written into the data directory.
    """
    if broker_url is None:
        return [Finding(check="broker", ok=True, detail="none set: each run brings a worker of its own")]
    where = without_password(broker_url)
    app = make_app(broker_url)
    try:
        check_broker(app, where)
    except BrokerUnavailable as error:
        fix = "Start Redis, or correct SCAFFOLDRY_BROKER_URL."
        return [Finding(check="broker", ok=False, detail=str(error), fix=fix)]
    token = secrets.token_hex(16)
    probe = ExperimentFileManager(Path(data_dir) / f"probe-{token[:8]}")
    try:
        probe.ask_probe(token)
        inspect: Any = app.control.inspect(timeout=3.0)
        replies = inspect._request("scaffoldry_probe", experiment=probe.name, token=token) or {}
    finally:
        seen = probe.end_probe()
    found = [Finding(check="broker", ok=True, detail=f"{where} answers")]
    if not replies:
        fix = command("worker", "--broker-url", where)
        return [*found, Finding(check="workers", ok=False, detail="no worker answers", fix=fix)]
    return [*found, *(_worker_finding(reply, seen) for _, reply in sorted(replies.items()))]


def _worker_finding(reply: dict[str, Any], seen: list[str]) -> Finding:
    worker = str(reply.get("worker"))
    ok = reply.get("volume") == "ok" and worker in seen
    detail = f"{worker} answers: {reply.get('slots')} slots, version {reply.get('version')}"
    if ok:
        return Finding(check=f"worker {worker}", ok=True, detail=f"{detail}, shares the data directory")
    problem = reply.get("volume") if reply.get("volume") != "ok" else "what it writes is not seen here"
    fix = "Mount the same volume on both hosts and set SCAFFOLDRY_DATA_DIR on each to where it is mounted."
    return Finding(check=f"worker {worker}", ok=False, detail=f"{detail}; {problem}", fix=fix)
