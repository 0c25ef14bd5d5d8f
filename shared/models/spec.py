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

    iterations: int = Field(default=1, ge=1, le=10_000)
    initial: int | None = Field(default=None, ge=1, le=10_000)
    """Scaffolds of the first generation, the given ones among them; None: as many as are given, or 4."""
    top_k: int = Field(default=2, ge=1)
    """Parents of each iteration: the best of all history."""
    children: int = Field(default=1, ge=1)
    """Children of each parent."""
    valid_examples: int | None = Field(default=None, ge=1)
    """Size of the validation sample; None: the whole split."""
    train_per_scaffold: int = Field(default=0, ge=0)
    """Training examples each parent is run on before its children are proposed."""
    repeats: int = Field(default=1, ge=1, le=1000)
    """Runs of each validation and test example."""
    resample_validation: bool = False
    """Draw another validation sample in each iteration, and run the parents on it again; else one for all."""
    seed: int = 0
    sampling_seed: int | None = None
    """Which examples are drawn; None: ``seed``. The next two likewise."""
    proposing_seed: int | None = None
    model_seed: int | None = None

    @property
    def seeds(self) -> dict[str, int]:
        """The seeds of sampling, of proposing and of the models, by these names."""
        given = {"sampling": self.sampling_seed, "proposing": self.proposing_seed, "model": self.model_seed}
        return {name: self.seed if seed is None else seed for name, seed in given.items()}


class ProposerSpec(Frozen):
    """A proposer by name; its other fields are the proposer's own options."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The proposer's own options."""
        return dict(self.model_extra or {})


class BudgetSpec(Written):
    """What scaffolder and executor together may use. None: without bound."""

    usd: FiniteFloat | None = Field(default=None, gt=0)
    llm_calls: int | None = Field(default=None, ge=1)
    tokens: int | None = Field(default=None, ge=1)
    """Input and output tokens."""
    hours: FiniteFloat | None = Field(default=None, gt=0)
    """Time in which runs are started, over all sessions."""


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
    scaffolds: tuple[str, ...] = ()
    """Folders with a ``scaffold.py``, counted from the spec's folder; they become ids 0, 1, ... in order."""
    proposer: ProposerSpec | None = None
    """Who writes further scaffolds; None: nobody, and the given ones are evaluated."""
    baseline: bool | None = None
    """Whether a scaffold that only asks the model is evaluated beside the others; None: where there is a proposer."""
    executor: ExecutorSpec = ExecutorSpec()
    models: dict[str, ModelSpec] = Field(default_factory=dict)
    loop: LoopSpec = LoopSpec()
    budget: BudgetSpec = BudgetSpec()
    sandbox: str = "docker"

    @model_validator(mode="after")
    def _something_to_run(self) -> "ExperimentSpec":
        if not self.scaffolds and self.proposer is None:
            raise ValueError("give scaffolds (a list of folders), or a proposer that writes them")
        if self.loop.iterations > 1 and self.proposer is None:
            raise ValueError("loop.iterations is more than 1, but there is no proposer to write the next generation")
        return self

    @property
    def first_generation(self) -> int:
        """How many scaffolds the first generation has, without the baseline."""
        return max(self.loop.initial or len(self.scaffolds) or 4, len(self.scaffolds))

    @property
    def has_baseline(self) -> bool:
        """Whether the baseline is evaluated."""
        return self.proposer is not None if self.baseline is None else self.baseline
