"""``workers``: who listens on the broker, what each runs, and who cannot serve this data directory."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import typer

from coordinator.cli.guard import say
from coordinator.cli.options import AsJson, BrokerUrl, DataDir, broker_url_or_set, data_dir_or_set

if TYPE_CHECKING:
    from collections.abc import Sequence

    from coordinator.workers import Answer

_SECONDS = 1.0


def workers(broker_url: BrokerUrl = None, data_dir: DataDir = None, as_json: AsJson = False) -> int:
    """List the workers that listen on the broker, and what each runs since when.

    Says of each that cannot take this data directory's jobs why that is. Exits with 3 where none listens.
    """
    from coordinator.report.json_report import json_line
    from coordinator.workers import Workers, no_worker, problems
    from shared.errors import NoWorker, UsageError
    from shared.queue import check_broker, make_app, without_password

    url = broker_url_or_set(broker_url)
    if url is None:
        raise UsageError(
            "There is no broker to ask: set SCAFFOLDRY_BROKER_URL or give --broker-url redis://HOST:6379/0. "
            "(Without a broker each run brings a worker of its own.)"
        )
    app = make_app(url)
    check_broker(app, without_password(url))
    answers = Workers(app, data_dir_or_set(data_dir)).ask(_SECONDS)
    if not answers:
        raise NoWorker(no_worker(url))
    now = datetime.now(UTC)
    if as_json:
        typer.echo("".join(json_line(record(answer, now)) for answer in answers), nl=False)
    else:
        typer.echo(in_words(answers, now))
    for sentence in problems(answers):
        say(sentence)
    return 0


def record(answer: "Answer", now: datetime) -> dict[str, Any]:
    """A worker as a JSON object. ``problem``: why it cannot take this data directory's jobs, or null."""
    state = answer.state
    return {
        "worker": state.name,
        **state.model_dump(mode="json", include={"host", "version", "slots", "sandbox"}),
        "problem": answer.problem,
        "jobs": [
            {**one.job.model_dump(), "seconds": round(one.seconds, 1), "since": _since(one.seconds, now).isoformat()}
            for one in state.jobs
        ],
    }


def in_words(answers: "Sequence[Answer]", now: datetime) -> str:
    """A table of the workers, and one of what they run."""
    from coordinator.report.table import text_table
    from coordinator.report.words import duration, one_line

    rows = [
        (
            one_line(answer.state.name),
            one_line(answer.state.host) or "-",
            one_line(answer.state.version) or "-",
            one_line(answer.state.sandbox) or "-",
            str(answer.state.slots),
            str(len(answer.state.jobs)),
            "no" if answer.problem else "yes",
        )
        for answer in answers
    ]
    text = text_table(
        ("worker", "host", "version", "sandbox", "slots", "running", "usable"), rows, frozenset(("slots", "running"))
    )
    runs = [
        (
            one_line(answer.state.name),
            one.job.experiment,
            str(one.job.iteration),
            one.job.scaffold_id,
            one.job.run_type,
            f"{_since(one.seconds, now).astimezone():%H:%M:%S}",
            duration(one.seconds),
        )
        for answer in answers
        for one in answer.state.jobs
    ]
    if not runs:
        return text
    head = ("worker", "experiment", "iteration", "scaffold", "run", "since", "for")
    return f"{text}\n\n{text_table(head, runs, frozenset(('iteration', 'for')))}"


def _since(seconds: float, now: datetime) -> datetime:
    """When that was, by this host's clock: the worker's may say otherwise."""
    return (now - timedelta(seconds=seconds)).replace(microsecond=0)
