"""What a scorer is."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol

from pydantic import FiniteFloat

from shared.models.base import Frozen
from shared.models.example import Example
from shared.models.run import RunOutcome


class Score(Frozen):
    """A scorer's verdict: a finite float, higher is better; optionally a sentence for whoever mends the scaffold."""

    value: FiniteFloat
    feedback: str | None = None


class ProgramRunner(Protocol):
    """Runs a piece of untrusted Python in a sandbox of its own (no gateway, nothing mounted but itself).

    ``scaffold_code`` is a module with ``process_input``; it is called once with ``input_string``. The outcome is what
    the sandbox saw. Raises InfraError where the machinery failed.
    """

    def __call__(self, scaffold_code: str, input_string: str, timeout: float) -> RunOutcome: ...


class Scorer(ABC):
    """Scores one output against one example. Built once per worker process, used for many runs.

    The constructor takes the spec's options as keywords and raises SpecError for any it does not know or cannot use.
    ``score`` must not keep state. The built-in scorers never raise, whatever the output, and answer in under 100 ms
    (``python_tests`` runs code, and takes as long as that does); an example they cannot use raises ScorerError.
    Anything a scorer raises, and any value that is not a finite float, becomes the status ``scorer_error``; only
    InfraError means that our own machinery failed. The worker calls a scorer that is not built in, and needs no
    sandbox, in a forked process of its own each time: its death is ``scorer_error`` too, and nothing it changes lasts.
    """

    name: ClassVar[str]
    needs_sandbox: ClassVar[bool] = False
    """Whether ``run_program`` is used; without it such a scorer cannot be built."""

    @abstractmethod
    def __init__(self, *, run_program: ProgramRunner | None = None, **options: Any) -> None: ...

    @abstractmethod
    def score(self, output: str, example: Example) -> Score:
        """The score of ``output`` for ``example``."""

    def needed_fields(self) -> dict[str, str]:
        """Option -> the example field it names, for every field without which no example can be scored."""
        return {}
