"""``module:function``: a user's own scorer."""

import copy
import math
import sys
import types
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import import_module
from numbers import Real
from typing import Any, ClassVar, Self

from shared.errors import ScorerError, SpecError
from shared.models.base import Frozen
from shared.models.example import Example
from shared.registry import nearest
from shared.scorers.base import ProgramRunner, Score, Scorer
from shared.scorers.options import parse_options

ScoringFunction = Callable[[str, dict[str, Any]], Any]


class FunctionOptions(Frozen):
    """A function takes no options from the spec: it is code, and can hold its own."""


class FunctionScorer(Scorer):
    """Calls ``function(output, example)``, where ``example`` is a dict: ``id``, ``input`` and the line's other fields.

    The function answers a number, a ``(number, feedback)`` pair, or a ``Score``. ``True`` counts as 1.0 and ``False``
    as 0.0. Anything else, NaN and infinity included, raises ScorerError. It is trusted code: what the worker may do,
    it may do.
    """

    name: ClassVar[str] = "module:function"

    def __init__(
        self, *, run_program: ProgramRunner | None = None, function: ScoringFunction, label: str, **options: Any
    ) -> None:
        parse_options(label, FunctionOptions, options)
        self._function = function
        self._label = label

    @classmethod
    def load(cls, name: str, module_source: str | None, options: dict[str, Any]) -> Self:
        """The scorer for ``module:function``; raises SpecError where there is no such module or function."""
        module_name, _, function_name = name.partition(":")
        if not all(part.isidentifier() for part in [*module_name.split("."), function_name]):
            raise SpecError(f"{name!r} does not name a scorer function: write it as module:function.")
        parse_options(name, FunctionOptions, options)
        module = _module(module_name, module_source)
        function = getattr(module, function_name, None)
        if not callable(function):
            known = sorted(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
            raise SpecError(
                f"The scorer module {module_name!r} has no function {function_name!r}{nearest(function_name, known)}"
            )
        return cls(function=function, label=name)

    def score(self, output: str, example: Example) -> Score:
        answer = self._function(output, copy.deepcopy({**example.fields, "id": example.id, "input": example.input}))
        return _as_score(self._label, answer)


def _module(name: str, source: str | None) -> types.ModuleType:
    """The user's module: run from its text where that is given, else imported."""
    try:
        with redirect_stdout(sys.stderr):  # what a command writes to its standard output is data
            if source is None:
                return import_module(name)
            module = types.ModuleType(name)
            module.__file__ = f"{name.replace('.', '/')}.py"
            exec(compile(source, module.__file__, "exec"), module.__dict__)
            return module
    except ModuleNotFoundError as error:
        raise SpecError(
            f"The scorer module {name!r} cannot be imported: {error}. Put {name}.py beside the spec, or install it."
        ) from error
    except (Exception, SystemExit) as error:  # SystemExit: a module is no program, and must not end ours
        raise SpecError(f"The scorer module {name!r} fails while it loads: {type(error).__name__}: {error}.") from error


def _as_score(label: str, answer: Any) -> Score:
    """What the function answered, as a Score."""
    value, feedback = answer, None
    if isinstance(answer, Score):
        value, feedback = answer.value, answer.feedback
    elif isinstance(answer, tuple) and len(answer) == 2:
        value, feedback = answer
    if not isinstance(value, Real):
        raise ScorerError(
            f"The scorer {label} answered a {type(answer).__name__}; "
            "it must answer a number, a (number, text) pair or a Score."
        )
    if not (feedback is None or isinstance(feedback, str)):
        raise ScorerError(f"The scorer {label} answered feedback that is a {type(feedback).__name__}, not text.")
    try:
        number = float(value)
    except (OverflowError, ValueError) as error:
        raise ScorerError(f"The scorer {label} answered a number that no float can hold: {error}.") from error
    if not math.isfinite(number):
        raise ScorerError(f"The scorer {label} answered {number}, which is not a finite number.")
    return Score(value=number, feedback=feedback)
