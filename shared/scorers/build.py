"""From a spec's ``scorer`` to a scorer that can be used, or to a sentence that says why not."""

from collections.abc import Collection
from typing import Any

from shared.errors import ScaffoldryError, SpecError
from shared.models.run import RunOutcome
from shared.models.spec import ScorerSpec
from shared.registry import Registry, nearest
from shared.scorers.base import ProgramRunner, Scorer
from shared.scorers.function import FunctionScorer

_BUILTIN = {
    "choice": "shared.scorers.choice:ChoiceScorer",
    "exact": "shared.scorers.exact:ExactScorer",
    "numeric": "shared.scorers.numeric:NumericScorer",
    "python_tests": "shared.scorers.python_tests:PythonTestsScorer",
}
SCORERS = Registry("scorer", _BUILTIN)


def is_builtin(scorer: Scorer) -> bool:
    """Whether ``scorer`` is one of Scaffoldry's own; a subclass of one is not."""
    return f"{type(scorer).__module__}:{type(scorer).__qualname__}" in _BUILTIN.values()


def build_scorer(spec: ScorerSpec, *, run_program: ProgramRunner | None, module_source: str | None = None) -> Scorer:
    """The scorer that ``spec`` asks for.

    A name with a colon is a user's own ``module:function``; ``module_source`` is that module's text where it does not
    lie on the import path. Raises UnknownName for a name nobody registered, and SpecError for options the scorer does
    not know or cannot use, for a user's module that does not load, and for a scorer that runs code when there is no
    ``run_program``.
    """
    if ":" in spec.name:
        return FunctionScorer.load(spec.name, module_source, spec.options)
    scorer_class = SCORERS.get(spec.name)
    if not (isinstance(scorer_class, type) and issubclass(scorer_class, Scorer)):
        raise SpecError(f"The plug-in {spec.name!r} of {SCORERS.group} is not a subclass of Scorer.")
    if scorer_class.needs_sandbox and run_program is None:
        raise SpecError(f"The scorer {spec.name!r} runs code and needs a sandbox to run it in; there is none here.")
    return _construct(spec.name, scorer_class, run_program, spec.options)


def check_scorer(spec: ScorerSpec, fields: Collection[str] | None = None, *, module_source: str | None = None) -> None:
    """Raise what ``build_scorer`` would raise, without needing a sandbox.

    ``fields``: the names of all fields the examples have, the input's included. An option that names a field which is
    not among them raises SpecError.
    """
    scorer = build_scorer(spec, run_program=_no_sandbox, module_source=module_source)
    for option, field in scorer.needed_fields().items():
        if fields is not None and field not in fields:
            raise SpecError(
                f"scorer.{option} of {spec.name!r} is {field!r}, and the examples have no such field"
                f"{nearest(field, sorted(fields))}"
            )


def _construct(
    name: str, scorer_class: type[Scorer], run_program: ProgramRunner | None, options: dict[str, Any]
) -> Scorer:
    """Call the constructor; a plug-in that does not take an option is the spec's mistake, not a crash."""
    if "run_program" in options:
        raise SpecError(f"The scorer {name!r} has no option 'run_program'.")
    try:
        return scorer_class(run_program=run_program, **options)
    except ScaffoldryError:
        raise
    except (TypeError, ValueError) as error:
        raise SpecError(f"The scorer {name!r} cannot be built with the options {sorted(options)}: {error}") from error


def _no_sandbox(scaffold_code: str, input_string: str, timeout: float) -> RunOutcome:
    """Stands in where a scorer is only looked at."""
    raise SpecError("This scorer was built to be checked; it cannot run programs.")
