"""An experiment's spec: what a person writes in YAML."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, FiniteFloat, Tag, field_validator, model_validator

from shared.models.base import Frozen
from shared.models.ids import SPLITS, ExperimentName
from shared.models.limits import Limits

SANDBOXES = ("docker", "process", "fake")
"""The built-in sandboxes; installed packages may add others."""


class Written(Frozen):
    """A part of a spec whose values must be written as what they are: ``true`` is no number, and ``"5"`` is text."""

    model_config = ConfigDict(strict=True)


class SplitSpec(Written):
    """Where one split's examples come from: lines of a JSONL file."""

    path: str
    """Counted from the spec's folder."""
    input: str = "input"
    """The field a scaffold is given."""
    id: str | None = None
    """The field that names an example; without one the line number (from 1) does."""
    offset: int = Field(default=0, ge=0)
    limit: int | None = Field(default=None, ge=1)


class SeedSplit(Written):
    """One file divided by seed: shuffled once, then cut into shares of ``train``, ``valid`` and ``test``."""

    path: str
    input: str = "input"
    id: str | None = None
    offset: int = Field(default=0, ge=0)
    limit: int | None = Field(default=None, ge=1)
    split: dict[Literal["train", "valid", "test"], float]
    """Shares between 0 and 1 that add up to 1 or less."""
    seed: int = 0

    @field_validator("split")
    @classmethod
    def _shares(cls, value: dict[str, float]) -> dict[str, float]:
        if not value or any(not 0 < share <= 1 for share in value.values()) or sum(value.values()) > 1 + 1e-9:
            raise ValueError("the shares must each lie between 0 and 1 and add up to 1 or less")
        return value


class DataSpec(Frozen):
    """The splits, each from a file of its own."""

    train: SplitSpec | None = None
    valid: SplitSpec | None = None
    test: SplitSpec | None = None

    @model_validator(mode="after")
    def _some(self) -> "DataSpec":
        if not any(getattr(self, split) for split in SPLITS):
            raise ValueError("needs at least one of train, valid and test")
        return self


def _data_form(value: Any) -> str:
    """Which of its two forms ``data`` has: one file divided by seed, or a file for each split."""
    one_file = isinstance(value, SeedSplit) or (isinstance(value, dict) and ("split" in value or "path" in value))
    return "seed" if one_file else "files"


Data = Annotated[Annotated[DataSpec, Tag("files")] | Annotated[SeedSplit, Tag("seed")], Discriminator(_data_form)]


class ScorerSpec(Frozen):
    """A scorer by name (or ``module:function``); its other fields are the scorer's own options."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The scorer's own options."""
        return dict(self.model_extra or {})


class ExecutorSpec(Limits):
    """The model a scaffold calls, and the limits it runs under."""

    model_config = ConfigDict(strict=True)

    model: str = "local/smollm2"
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    max_calls: int | None = Field(default=None, ge=0)
    """Model calls one run may make; one more ends the run as ``budget_exceeded``."""

    @property
    def limits(self) -> Limits:
        """The limits alone."""
        return Limits(**{name: getattr(self, name) for name in Limits.model_fields})


class LoopSpec(Written):
    """How the experiment goes on."""

    iterations: int = Field(default=1, ge=1, le=1)
    valid_examples: int | None = Field(default=None, ge=1)
    """Size of the validation sample; None: the whole split."""
    train_per_scaffold: int = Field(default=0, ge=0)
    """Training examples each scaffold is run on."""
    seed: int = 0


class Price(Written):
    """US dollars per million tokens."""

    input: FiniteFloat = Field(ge=0)
    output: FiniteFloat = Field(ge=0)


class ModelSpec(Frozen):
    """A model under a name of one's own: which provider's model it is, where it answers, which key opens it."""

    model: str
    """A model as ``executor.model`` would name it: ``openai/NAME``, ``anthropic/NAME``, ``local/...``, ``sim/...``."""
    base_url: str | None = None
    api_key_env: str | None = None
    """The environment variable (or ``.env`` line) that holds the key; the key itself never stands in a spec."""
    price: Price | None = None


class ExperimentSpec(Frozen):
    """One experiment, as resolved: defaults filled in, paths as written."""

    name: ExperimentName
    task: str = ""
    data: Data
    scorer: ScorerSpec
    scaffolds: tuple[str, ...] = Field(min_length=1)
    """Folders with a ``scaffold.py``, counted from the spec's folder; they become ids 0, 1, ... in order."""
    executor: ExecutorSpec = ExecutorSpec()
    models: dict[str, ModelSpec] = Field(default_factory=dict)
    loop: LoopSpec = LoopSpec()
    sandbox: str = "docker"
