"""What writes scaffolds: the contract of every proposer."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from coordinator.scaffolder import ModelClient
from shared.models.base import Frozen
from shared.models.example import Example
from shared.models.result import Usage
from shared.models.scaffold import ScaffoldResult
from shared.models.spec import ModelSpec
from shared.models.status import Status


class TrainRun(Frozen):
    """What a parent did with one training example."""

    example: Example
    status: Status
    output: str | None
    score: float | None
    feedback: str | None
    error_message: str | None
    log: str
    """What the run's log says, cut in its middle where it is long."""


class Parent(Frozen):
    """A scaffold to be evolved."""

    scaffold_id: str
    scaffold: ScaffoldResult
    valid_mean: float
    runs: tuple[TrainRun, ...] = ()


class Surroundings(Frozen):
    """What a scaffold finds where it runs, as it really is."""

    python: str
    """``3.11.2``"""
    packages: tuple[str, ...] = ()
    """``numpy 2.1.0``, ...: what is installed beside the standard library."""
    timeout: float
    memory: int
    cpus: float
    output_limit: int
    """Seconds, bytes, processors, bytes."""
    max_calls: int | None = None


class Task(Frozen):
    """All that a proposer may know of the experiment. There are only training examples in it."""

    task: str
    examples: tuple[Example, ...]
    """Training examples, answers and all; for a first scaffold."""
    surroundings: Surroundings
    scorer: str
    scorer_source: str | None = None
    """The code that scores. A proposer shows it to a model only where its options say so."""
    given: tuple[ScaffoldResult, ...] = ()
    """The scaffolds that the spec gives, in order."""


class Order(Frozen):
    """One scaffold to be written. The same order gets the same scaffold, as far as the proposer's model lets it."""

    kind: Literal["first", "child"]
    scaffold_id: str
    number: int = Field(ge=0)
    """Counts the scaffolds ordered in the whole experiment, from 0."""
    index: int = Field(ge=0)
    """Its place in the first generation among those that are proposed, or among its parent's children."""
    count: int = Field(ge=1)
    """How many of its kind are ordered together."""
    parent: Parent | None = None
    seed: int = 0
    attempt: int = Field(default=0, ge=0)
    """Which draft of it is asked for: 0 the first, others repairs."""


class Draft(Frozen):
    """What a proposer answered to an order: a scaffold, or why it is none."""

    code: str | None
    problem: str | None = None
    """Why there is no code, or what can be seen to be wrong with it: a sentence for whoever is to write it again."""
    model: str | None = None
    prompt: str | None = None
    """All that the model was told, the system prompt first."""
    response: str | None = None
    usage: Usage = Usage()
    notes: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """What a proposer's options are checked against, before there is an experiment."""

    folder: Path
    """The spec's, from which paths in options count."""
    given: tuple[ScaffoldResult, ...] = ()
    """The scaffolds that the spec gives, in order."""
    models: Mapping[str, ModelSpec] | None = None
    """The spec's ``models``."""


@dataclass(frozen=True)
class Tools:
    """What a proposer works with in one session."""

    task: Task
    kept: MutableMapping[str, str]
    """File name -> text: what ``check`` returned when the experiment was made, and whatever was put in since. It is
    kept with the experiment, so that a resume on another day, or on another machine, finds it again."""
    connect: Callable[[str], ModelClient]
    """A client of the model of that name."""


class NoOptions(Frozen):
    """The options of a proposer that has none."""


class Proposer(ABC):
    """Writes the scaffolds of the first generation, and children of the good ones.

    Proposers are made once per session with their options and the experiment's task, and may be asked from several
    threads at once. Whatever they raise counts as a failed attempt at that order and is shown, with these exceptions:
    ``Exhausted`` (there are no more scaffolds) and ``OutOfBudget`` end the proposing, and ``Unavailable`` (a model out
    of reach) ends the session, without an attempt being counted. Nothing they return is trusted: it is tried out before
    anything is run on it.
    """

    Options: ClassVar[type[Frozen]] = NoOptions
    """The model of the options, which are the other fields of the spec's ``proposer``."""

    at_once: int = 1
    """Orders that it works on at the same time, at most."""

    def __init__(self, options: Any, tools: Tools) -> None:
        """``options`` is one of ``Options``."""
        self.tools = tools

    @classmethod
    def check(cls, options: Any, setting: Setting) -> dict[str, str]:
        """The texts (file name -> text) that the experiment must keep, so that nothing else is needed later.

        Called once, before the experiment is made. Raises SpecError, UnknownName or ModelConfigError where the options
        cannot be used.
        """
        return {}

    @classmethod
    def models(cls, options: Any) -> tuple[str, ...]:
        """The names of the models that it asks."""
        return ()

    @abstractmethod
    def propose(self, order: Order) -> Draft:
        """A new scaffold. Raises Exhausted where it has no more of them."""

    def repair(self, order: Order, draft: Draft, problem: str) -> Draft | None:
        """Another draft in place of one that failed its trial with ``problem``; None where that is not its trade."""
        return None

    def close(self) -> None:
        """Let go of what it holds; calls under way end with ModelUnavailable."""
        return None
