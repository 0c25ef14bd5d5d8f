"""``exact``: the output is the expected text, or it is not."""

from typing import Any, ClassVar

from pydantic import Field

from shared.models.base import Frozen
from shared.models.example import Example
from shared.scorers.base import ProgramRunner, Score, Scorer
from shared.scorers.options import as_text, field_of, parse_options, shorten


class ExactOptions(Frozen):
    """Options of ``exact``."""

    field: str = Field(default="answer", min_length=1)
    ignore_case: bool = False


class ExactScorer(Scorer):
    """1.0 where output and field agree once the white space around both is gone, else 0.0.

    A field that is not text is compared as JSON writes it: ``18``, ``true``, ``null``.
    """

    name: ClassVar[str] = "exact"

    def __init__(self, *, run_program: ProgramRunner | None = None, **options: Any) -> None:
        self.options = parse_options(self.name, ExactOptions, options)

    def needed_fields(self) -> dict[str, str]:
        return {"field": self.options.field}

    def score(self, output: str, example: Example) -> Score:
        expected = as_text(field_of(example, self.options.field)).strip()
        answer = output.strip()
        if answer == expected or (self.options.ignore_case and answer.casefold() == expected.casefold()):
            return Score(value=1.0)
        return Score(value=0.0, feedback=f"Expected {shorten(expected)}, but the output is {shorten(answer)}.")
