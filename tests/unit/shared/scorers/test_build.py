"""From a spec to a scorer, and the sentences for what cannot be built."""

from typing import Any

import pytest

from shared.errors import SpecError, UnknownName
from shared.models import RunOutcome, ScorerSpec
from shared.scorers import SCORERS, build_scorer, check_scorer, is_builtin
from shared.scorers.python_tests import PythonTestsScorer


def spec(name: str, **options: Any) -> ScorerSpec:
    return ScorerSpec.model_validate({"name": name, **options})


def no_run(scaffold_code: str, input_string: str, timeout: float) -> RunOutcome:
    raise AssertionError("nothing is run here")


@pytest.mark.parametrize("name", ["exact", "choice", "numeric", "python_tests"])
def test_every_builtin_is_built_by_name(name: str) -> None:
    assert name in SCORERS.names()
    scorer = build_scorer(spec(name), run_program=no_run)
    assert scorer.name == name
    assert is_builtin(scorer)


def test_a_users_function_and_a_subclass_of_a_builtin_are_not_built_in() -> None:
    class ExactScorer(PythonTestsScorer): ...

    assert not is_builtin(build_scorer(spec("math:sqrt"), run_program=no_run))
    assert not is_builtin(ExactScorer(run_program=no_run))


BAD: list[tuple[ScorerSpec, type[Exception], str]] = [
    (spec("numerik"), UnknownName, "no scorer named 'numerik'; did you mean 'numeric'"),
    (spec("numeric", feild="x"), SpecError, "no option 'feild'; did you mean 'field'"),
    (spec("numeric", tolerance=-1), SpecError, "scorer.tolerance of 'numeric' cannot be '-1'"),
    (spec("numeric", tolerance="wide"), SpecError, "scorer.tolerance of 'numeric' cannot be 'wide'"),
    (spec("numeric", tolerance=float("inf")), SpecError, "scorer.tolerance"),
    (spec("exact", field=""), SpecError, "scorer.field"),
    (spec("exact", field=["a"]), SpecError, "scorer.field"),
    (spec("exact", run_program=1), SpecError, "no option 'run_program'"),
    (spec("python_tests", timeout=0), SpecError, "scorer.timeout"),
    (spec("my:"), SpecError, "write it as module:function"),
    (spec("../my:score"), SpecError, "write it as module:function"),
    (spec("no_such_module_here:score"), SpecError, "'no_such_module_here' cannot be imported"),
    (spec("math:squrt"), SpecError, "no function 'squrt'; did you mean 'sqrt'"),
    (spec("math:sqrt", field="x"), SpecError, "no option 'field'"),
]


@pytest.mark.parametrize(("bad", "error", "sentence"), BAD)
def test_what_cannot_be_built_is_told_before_a_run(bad: ScorerSpec, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        check_scorer(bad, {"answer"})
    with pytest.raises(error, match=sentence):
        build_scorer(bad, run_program=no_run)


@pytest.mark.parametrize(
    ("good", "fields"),
    [
        (spec("exact"), {"answer"}),
        (spec("exact", field="label"), {"label"}),
        (spec("choice"), {"answer"}),
        (spec("choice", choices="options"), {"answer", "options"}),
        (spec("python_tests"), {"question", "test", "entry_point"}),
        (spec("exact", field="anything"), None),
    ],
)
def test_a_scorer_whose_fields_are_there_passes(good: ScorerSpec, fields: set[str] | None) -> None:
    check_scorer(good, fields)


@pytest.mark.parametrize(
    ("bad", "fields", "sentence"),
    [
        (spec("exact"), {"answers"}, "scorer.field of 'exact' is 'answer', .* did you mean 'answers'"),
        (spec("choice", choices="options"), {"answer"}, "scorer.choices of 'choice' is 'options'"),
        (spec("python_tests"), {"prompt", "entry_point"}, "scorer.test_field"),
        (spec("python_tests", prompt_field="p"), {"test", "entry_point"}, "scorer.prompt_field"),
    ],
)
def test_a_field_the_examples_lack_is_told_before_a_run(bad: ScorerSpec, fields: set[str], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        check_scorer(bad, fields)


def test_a_scorer_that_runs_code_needs_a_sandbox() -> None:
    with pytest.raises(SpecError, match="needs a sandbox"):
        build_scorer(spec("python_tests"), run_program=None)
    with pytest.raises(SpecError, match="needs a sandbox"):
        PythonTestsScorer()


def test_a_scorer_that_was_only_checked_is_never_run(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Any] = []
    monkeypatch.setattr(PythonTestsScorer, "needed_fields", lambda self: built.append(self) or {})
    check_scorer(spec("python_tests"), {"test"})
    with pytest.raises(SpecError, match="built to be checked"):
        built[0]._run_program("", "", 1.0)


class _Plugin:
    """An entry point of an installed package."""

    def __init__(self, name: str, target: Any) -> None:
        self.name, self._target = name, target

    def load(self) -> Any:
        return self._target


def test_installed_packages_add_scorers_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    from shared.scorers.exact import ExactScorer

    points = [_Plugin("mine", ExactScorer), _Plugin("no_class", len)]

    def entry_points(group: str, name: str | None = None) -> list[_Plugin]:
        assert group == "scaffoldry.scorers"
        return [point for point in points if name in (None, point.name)]

    monkeypatch.setattr("shared.registry.entry_points", entry_points)
    assert isinstance(build_scorer(spec("mine", field="x"), run_program=None), ExactScorer)
    with pytest.raises(SpecError, match="not a subclass of Scorer"):
        build_scorer(spec("no_class"), run_program=None)
    with pytest.raises(UnknownName, match="mine"):
        build_scorer(spec("other"), run_program=None)
