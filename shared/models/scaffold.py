"""A scaffold's code and what is known about it."""

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from shared.models.base import Frozen
from shared.models.ids import Iteration, ScaffoldId


class ScaffoldMetadata(Frozen):
    """Where a scaffold came from. Fields beyond these are kept as they are, but for ``digest`` and ``runtime_digests``:
    those are the file's own (``shared/scaffold_files.py``)."""

    model_config = ConfigDict(frozen=True, extra="allow")

    created_at: datetime
    model: str | None = None
    parent_scaffold_id: ScaffoldId | None = None
    iteration: Iteration = 0
    source: str | None = None
    """The folder a person gave, as written in the spec; None for generated scaffolds."""
    notes: dict[str, Any] = Field(default_factory=dict)


class ScaffoldResult(Frozen):
    """A scaffold: the text of its ``scaffold.py`` and its metadata."""

    code: str
    metadata: ScaffoldMetadata
