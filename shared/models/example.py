"""One example of a dataset."""

from typing import Any

from pydantic import Field

from shared.models.base import Frozen


class Example(Frozen):
    """What a scaffold is given (``input``) and what only the scorer sees (``fields``: the line's other fields)."""

    id: str = Field(min_length=1, max_length=512)
    input: str
    fields: dict[str, Any] = Field(default_factory=dict)
    repeat: int = Field(default=0, ge=0)
    """Which time the example is planned in this iteration; another repeat asks the model with another seed."""
