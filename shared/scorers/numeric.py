"""``numeric``: the last number of the answer, GSM8K's convention (Cobbe et al. 2021, arXiv:2110.14168)."""

from fractions import Fraction
from typing import Any, ClassVar

from pydantic import Field, FiniteFloat

from shared.errors import ScorerError
from shared.models.base import Frozen
from shared.models.example import Example
from shared.scorers.base import ProgramRunner, Score, Scorer
from shared.scorers.number_reading import Number, read_number
from shared.scorers.options import as_text, field_of, parse_options, shorten


class NumericOptions(Frozen):
    """Options of ``numeric``. ``tolerance``: the largest difference that still counts, in the answer's own unit."""

    field: str = Field(default="answer", min_length=1)
    tolerance: FiniteFloat = Field(default=0.0, ge=0)


class NumericScorer(Scorer):
    """1.0 where the output's last number equals the field's, else 0.0. Compared exactly, as fractions."""

    name: ClassVar[str] = "numeric"

    def __init__(self, *, run_program: ProgramRunner | None = None, **options: Any) -> None:
        self.options = parse_options(self.name, NumericOptions, options)
        self._tolerance = Fraction(str(self.options.tolerance))

    def needed_fields(self) -> dict[str, str]:
        return {"field": self.options.field}

    def score(self, output: str, example: Example) -> Score:
        expected = self._expected(example)
        answer = read_number(output)
        if answer is None:
            return Score(value=0.0, feedback=f"There is no number in the output {shorten(output)}.")
        if abs(answer.value - expected.value) <= self._tolerance:
            return Score(value=1.0)
        return Score(value=0.0, feedback=f"Expected {expected.text}, but the last number is {answer.text}.")

    def _expected(self, example: Example) -> Number:
        value = field_of(example, self.options.field)
        number = None
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            try:
                number = read_number(as_text(value))
            except ValueError:  # an int too long for str()
                number = None
        if number is None:
            raise ScorerError(
                f"The field {self.options.field!r} of example {example.id!r} holds no number to compare with."
            )
        return number
