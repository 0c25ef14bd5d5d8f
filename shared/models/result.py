"""The committed record of a run, and the short receipt that announces it."""

import re
from datetime import datetime
from typing import Any, Self

from pydantic import Field, FiniteFloat, model_validator

from shared.models.base import Frozen
from shared.models.ids import ExperimentName, Iteration, RunType, ScaffoldId
from shared.models.job import Job
from shared.models.status import Status

RESULT_SCHEMA = 2
"""Schema 2 is schema 1 with a ``key``."""


class Usage(Frozen):
    """What a run asked of its model."""

    calls: int = Field(default=0, ge=0)
    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    wait_seconds: float = Field(default=0.0, ge=0)
    """Seconds the program waited for the model."""
    usd: float | None = None
    """Cost in US dollars; None where the model's price is not known."""

    def __add__(self, other: "Usage") -> "Usage":
        usd = None if self.usd is None and other.usd is None else (self.usd or 0.0) + (other.usd or 0.0)
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            wait_seconds=self.wait_seconds + other.wait_seconds,
            usd=usd,
        )


class RunResult(Frozen):
    """One run, committed once. ``score`` is a finite float for every status but ``infra_error``, where it is None."""

    schema_version: int = Field(default=RESULT_SCHEMA, ge=1, le=RESULT_SCHEMA)
    """That of records with a key, or of those without one."""
    key: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$")
    """Digest of all that decides the result, see ``shared/job_key.py``; None in records of schema 1, and where nothing
    was run to its end: in quarantine."""
    experiment: ExperimentName
    iteration: Iteration
    scaffold_id: ScaffoldId
    run_type: RunType
    example_id: str
    status: Status
    score: FiniteFloat | None
    feedback: str | None = None
    output: str | None = None
    exit_code: int | None = None
    execution_time: float = 0.0
    """Seconds."""
    error_message: str | None = None
    usage: Usage = Usage()
    attempt: int = Field(default=1, ge=1)
    worker: str = ""
    started_at: datetime
    finished_at: datetime

    @model_validator(mode="before")
    @classmethod
    def _schema(cls, record: Any) -> Any:
        if isinstance(record, dict) and "schema_version" not in record:
            return {**record, "schema_version": 1 if record.get("key") is None else RESULT_SCHEMA}
        return record

    @model_validator(mode="after")
    def _keyed(self) -> Self:
        if (self.schema_version == 1) != (self.key is None):
            raise ValueError(f"a record of schema {self.schema_version} has {'a' if self.key else 'no'} key")
        return self

    @property
    def job(self) -> Job:
        """The job this is the result of."""
        return Job(
            experiment=self.experiment,
            iteration=self.iteration,
            scaffold_id=self.scaffold_id,
            run_type=self.run_type,
        )


_PATH = re.compile(r"(?<![\w.:/])/(?:[^/\s'\"]+/)+")


def without_paths(text: str) -> str:
    """``text`` with each path's folders left out: a host's paths are nobody else's business."""
    return _PATH.sub(".../", text)


class Receipt(Frozen):
    """What a worker answers over the queue: enough for a progress line, never the record itself."""

    status: Status
    score: FiniteFloat | None = None
    seconds: float = 0.0
    attempt: int = 1
    worker: str = ""
    usage: Usage = Usage()
    error_message: str | None = None
    slots: int = 1
    """Runs that the worker does at once."""
    cancelled: bool = False
    """The experiment was cancelled: nothing was run and nothing was committed."""
    host_trouble: bool = False
    """What was lost with the run says nothing of the job: its host could run none, or others ended it."""
    out_of_budget: bool = False
    """The experiment's budget did not allow the run, or a call of it: nothing was committed."""
    superseded: bool = False
    """The attempt was given up before it was done: nothing was committed, and it says nothing of the run."""

    @property
    def is_failure(self) -> bool:
        """Whether our machinery failed the run, rather than had a reason not to do it."""
        excused = self.cancelled or self.out_of_budget or self.superseded
        return self.status is Status.INFRA_ERROR and not excused

    @classmethod
    def of(cls, result: RunResult) -> "Receipt":
        """The receipt that announces ``result``."""
        return cls(
            status=result.status,
            score=result.score,
            seconds=round(result.execution_time, 3),
            attempt=result.attempt,
            worker=result.worker,
            usage=result.usage,
            error_message=None if result.status.counts else without_paths(result.error_message or "")[:500],
        )
