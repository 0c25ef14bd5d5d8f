"""What ``doctor`` asks of the broker and of the workers that listen there."""

from pathlib import Path
from typing import Any

from celery import Celery
from pydantic import ValidationError

from coordinator.report.words import duration, plural
from coordinator.workers import Answer, Workers, namesakes, start_command
from shared import __version__
from shared.errors import BrokerUnavailable
from shared.models import Finding
from shared.models.worker_state import node_name
from shared.queue import check_broker, make_app, without_password

SECONDS = 3.0
CHECK_SECONDS = 10.0
"""For a look at their engines, to which workers give themselves five."""
CLOCKS_APART = 5.0
"""Seconds by which two hosts' clocks may differ before it is worth a word."""


def doctor_workers(broker_url: str | None, data_dir: Path) -> list[Finding]:
    """Whether the broker answers, and whether each worker does, is of this version and shares this data directory.

    Each of this version also says what it finds of its own Docker, image and models.

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
    answers = Workers(app, data_dir).probe(SECONDS)
    found = [Finding(check="broker", ok=True, detail=f"{where} answers")]
    if not answers:
        fix = start_command(broker_url)
        return [*found, Finding(check="workers", ok=False, detail="no worker answers", fix=fix)]
    for answer in answers:
        found += [_worker_finding(answer), *_clock_findings(answer)]
    found += _their_findings(app, [answer.state.name for answer in answers if answer.state.version == __version__])
    fix = "Start one of them with another --name."
    doubles = namesakes(answers).items()
    return [*found, *(Finding(check=f"name {name}", ok=False, detail=detail, fix=fix) for name, detail in doubles)]


def _their_findings(app: Celery, names: list[str]) -> list[Finding]:
    """What the workers of those names find on their own hosts: each looks, and all at once."""
    if not names:
        return []
    nodes = sorted({node_name(name) for name in names})
    replies: Any = app.control.broadcast(
        *("scaffoldry_checks", {}), reply=True, destination=nodes, limit=len(names), timeout=CHECK_SECONDS
    )
    answers = {node: answer for reply in replies or [] for node, answer in reply.items()}
    return [finding for node in nodes for finding in read_findings(node, answers.get(node))]


def read_findings(node: str, answer: Any) -> list[Finding]:
    """A worker's findings from its reply, each with the worker's name; one that says so where there are none."""
    try:
        found = [Finding.model_validate(one) for one in answer["findings"]]
    except (ValidationError, KeyError, TypeError):
        detail = "did not say how its Docker, image and models are"
        return [Finding(check=node, ok=None, detail=detail, fix="Ask again, or see its log.")]
    return [one.model_copy(update={"check": f"{node}: {one.check}"}) for one in found]


def _worker_finding(answer: Answer) -> Finding:
    state = answer.state
    check = f"worker {state.name}"
    detail = f"{state.name} answers: {plural(state.slots, 'slot')}, version {state.version or 'unknown'}"
    detail += f", sandbox {state.sandbox}" if state.sandbox else ""
    if answer.problem is None:
        return Finding(check=check, ok=True, detail=f"{detail}, shares the data directory")
    return Finding(check=check, ok=False, detail=f"{detail}; {answer.problem}", fix="Do there what it says.")


def _clock_findings(answer: Answer) -> list[Finding]:
    if abs(answer.ahead) <= CLOCKS_APART:
        return []
    apart = f"{duration(abs(answer.ahead))} {'ahead of' if answer.ahead > 0 else 'behind'} this host's"
    detail = f"the clock of {answer.state.name} is {apart}: no run is harmed, but times of day in logs do not match"
    fix = "Have both hosts set their clocks by NTP, as with: timedatectl set-ntp true"
    return [Finding(check=f"clock of {answer.state.name}", ok=None, detail=detail, fix=fix)]
