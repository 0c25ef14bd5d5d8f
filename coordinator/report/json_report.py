"""Progress as data: one JSON object a line."""

import json
from typing import IO, Any

from coordinator.report import words
from coordinator.report.base import Reporter, Summary
from shared.error_words import emit
from shared.models import Job, Plan, Receipt, RunResult
from shared.run_log import printable


def json_line(record: dict[str, Any]) -> str:
    """One object as one line of ASCII."""
    return json.dumps(record, allow_nan=False) + "\n"


class JsonReporter(Reporter):
    """Writes an object per event to ``out``; sentences go to ``err`` as well, for whoever watches."""

    def __init__(self, out: IO[str], err: IO[str]) -> None:
        self._out = out
        self._err = err

    def iteration_started(self, plan: Plan) -> None:
        self._write(
            "iteration_started",
            experiment=plan.experiment,
            iteration=plan.iteration,
            scaffolds=list(plan.scaffolds),
            total=len(plan),
        )

    def run_restored(self, result: RunResult) -> None:
        self._write("run_restored", **_run(result.job, Receipt.of(result)))

    def run_finished(self, job: Job, receipt: Receipt) -> None:
        self._write("run_finished", **_run(job, receipt))

    def run_retried(self, job: Job, receipt: Receipt) -> None:
        self._write("run_retried", **_run(job, receipt))

    def run_quarantined(self, job: Job, receipt: Receipt) -> None:
        self._write("run_quarantined", **_run(job, receipt))

    def say(self, message: str) -> None:
        self._write("message", message=message)
        emit(self._err, printable(message))

    def tick(self) -> None:
        """Nothing moves between events."""

    def finished(self, summary: Summary) -> None:
        self._write(
            "finished",
            **summary.model_dump(mode="json"),
            exit_code=summary.exit_code,
            resume=words.command("resume", summary.directory),
        )

    def _write(self, event: str, **fields: Any) -> None:
        emit(self._out, json_line({"event": event, **fields})[:-1])


def _run(job: Job, receipt: Receipt) -> dict[str, Any]:
    return {**job.model_dump(mode="json"), **receipt.model_dump(mode="json")}
