"""What of an experiment's budget is used."""

from typing import Self

from pydantic import Field, FiniteFloat

from shared.models.base import Frozen
from shared.models.spec import BudgetSpec

_DIGITS = 12
"""Decimals of a sum of dollars: finer than any price of a token, and coarse enough that adding and taking away again
leaves nothing behind."""


class Spending(Frozen):
    """Calls under way are in it with the most they may use."""

    calls: int = Field(default=0, ge=0)
    """Tries that reached, or were about to reach, a provider."""
    tokens: int = Field(default=0, ge=0)
    """Input and output together."""
    usd: FiniteFloat = Field(default=0.0, ge=0)
    """Of models whose price is known."""
    seconds: FiniteFloat = Field(default=0.0, ge=0)
    """Time that sessions have run."""
    bounds: BudgetSpec | None = None
    """The bounds that hold since a resume changed them; None: those the experiment began with."""

    def plus(self, calls: int = 0, tokens: int = 0, usd: float = 0.0, seconds: float = 0.0) -> Self:
        """The sum; amounts below zero are taken away."""
        sums = {
            "calls": self.calls + calls,
            "tokens": self.tokens + tokens,
            "usd": round(self.usd + usd, _DIGITS),
            "seconds": self.seconds + seconds,
        }
        return self.model_copy(update={name: max(value, 0) for name, value in sums.items()})
