"""A worker as it answers when it is asked."""

from datetime import datetime

from pydantic import ConfigDict, Field

from shared.models.base import Frozen
from shared.models.job import Job

NODE_PREFIX = "worker@"


def node_name(worker: str) -> str:
    """What the worker of that name is called on the broker and in Flower: ``worker@lab2``."""
    return worker if "@" in worker else f"{NODE_PREFIX}{worker}"


class JobUnderWay(Frozen):
    """A job that a worker runs."""

    job: Job
    seconds: float = Field(ge=0)
    """Since it began, by the worker's own clock: no two clocks need to agree."""


class WorkerState(Frozen):
    """What a worker says of itself. ``name`` and ``version`` are of every version; a newer one may say more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    version: str
    instance: str = ""
    """Different for each living worker, whatever their names."""
    host: str = ""
    queue: str = ""
    """Where it takes its jobs from."""
    volume: str | None = None
    """The id of the volume its data directory lies on; None where that cannot be read."""
    volume_problem: str | None = None
    """Why it cannot be read, or why the token of a probe was not found there."""
    trouble: str | None = None
    """Why no run can be started there at present; it takes no job until one can."""
    slots: int = Field(default=0, ge=0)
    sandbox: str = ""
    jobs: tuple[JobUnderWay, ...] = ()
    clock: datetime | None = None
    """What time it is there."""
