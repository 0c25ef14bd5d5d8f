"""What a sandbox is asked to run, and what it says happened."""

from pathlib import Path

from pydantic import Field

from shared.models.base import Frozen
from shared.models.status import Status


class Labels(Frozen):
    """Whose container this is; strays are found by these."""

    experiment: str = "-"
    job: str = "-"
    attempt: int = 1
    worker: str = "-"


class ScaffoldMount(Frozen):
    """A scaffold as a sandbox sees it: its id and the host directory that becomes ``/workspace/scaffold``."""

    scaffold_id: str
    directory: Path


class RunRequest(Frozen):
    """One call of ``process_input``."""

    input_string: str
    model: str = ""
    """The model alias the scaffold may call; empty where there is no gateway."""
    gateway_dir: Path | None = None
    """Host directory holding ``gateway.sock``, mounted read-only at ``/run/scaffoldry``; None: no way out at all."""


class RunOutcome(Frozen):
    """What the program did, whatever it did. ``status`` is never ``scorer_error``."""

    status: Status
    output: str | None = None
    stderr: str = ""
    """What the program printed (stdout and stderr as they came), cut at the output limit."""
    exit_code: int | None = None
    execution_time: float = Field(default=0.0, ge=0)
    """Seconds from the start of the program to its end."""
    error_message: str | None = None


class ScaffoldExecutionResult(Frozen):
    """What ``execute_scaffold`` returns."""

    output: str | None
    stderr: str
    exit_code: int | None
    execution_time: float
    """Seconds."""
    status: Status
    error_message: str | None = None
