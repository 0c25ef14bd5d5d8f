"""What every scorer promises, on all the built-in ones and on a user's function."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import SpecError
from shared.models import Example, Labels, Limits, RunOutcome, RunRequest, ScaffoldMount, ScorerSpec, Status
from shared.scorers import SCORERS, ProgramRunner, Score, Scorer, build_scorer, check_scorer
from worker.sandbox.base import Sandbox
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.process import ProcessSandbox
from worker.scoring import score_outcome

ADD = "def add(a, b):\n    return a + b\n"
FIELDS: dict[str, Any] = {
    "answer": "B",
    "number": "#### 18",
    "choices": ["Paris", "London"],
    "prompt": 'def add(a, b):\n    """Add."""\n',
    "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
    "entry_point": "add",
}
EXAMPLE = Example(id="e1", input="?", fields=FIELDS)
USERS = "def grade(output, example):\n    return float(output.strip() == example['answer'])\n"

CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"name": "exact"}, "B", "A"),
    ({"name": "choice"}, "The answer is London.", "The answer is Paris."),
    ({"name": "numeric", "field": "number"}, "so 18", "so 17"),
    ({"name": "python_tests", "timeout": 60}, ADD, "pass"),
    ({"name": "users:grade"}, "B", "A"),
]
"""Spec, a right output, a wrong one."""


def runner_in(sandbox: Sandbox, folder: Path) -> ProgramRunner:
    """Runs programs in that sandbox."""

    def run_program(scaffold_code: str, input_string: str, timeout: float) -> RunOutcome:
        folder.chmod(0o755)
        (folder / "scaffold.py").write_text(scaffold_code, encoding="utf-8")
        mount = ScaffoldMount(scaffold_id="tests", directory=folder)
        with sandbox.open(mount, Limits(timeout=timeout), Labels(worker="contract")) as session:
            return session.run(RunRequest(input_string=input_string))

    return run_program


@pytest.fixture(params=CASES, ids=lambda case: case[0]["name"])
def case(request: pytest.FixtureRequest) -> tuple[ScorerSpec, str, str]:
    spec, right, wrong = request.param
    return ScorerSpec.model_validate(spec), right, wrong


@pytest.fixture
def build(tmp_path: Path) -> Callable[[ScorerSpec], Scorer]:
    return lambda spec: build_scorer(spec, run_program=runner_in(ProcessSandbox(), tmp_path), module_source=USERS)


def test_every_builtin_scorer_is_under_this_contract() -> None:
    assert {spec["name"] for spec, _, _ in CASES if ":" not in spec["name"]} == set(SCORERS.names())


def test_right_is_one_and_wrong_is_zero_again_and_again(
    case: tuple[ScorerSpec, str, str], build: Callable[[ScorerSpec], Scorer]
) -> None:
    spec, right, wrong = case
    scorer = build(spec)
    assert [scorer.score(output, EXAMPLE).value for output in (right, wrong, right)] == [1.0, 0.0, 1.0]


def test_an_unknown_option_is_told_when_it_is_built(
    case: tuple[ScorerSpec, str, str], build: Callable[[ScorerSpec], Scorer]
) -> None:
    spec = ScorerSpec.model_validate({**case[0].options, "name": case[0].name, "no_such_option": 1})
    with pytest.raises(SpecError, match="no option 'no_such_option'"):
        build(spec)
    with pytest.raises(SpecError, match="no option 'no_such_option'"):
        check_scorer(spec, set(FIELDS), module_source=USERS)


def test_it_passes_its_own_check_without_a_sandbox(case: tuple[ScorerSpec, str, str]) -> None:
    check_scorer(case[0], set(FIELDS), module_source=USERS)


def test_needed_fields_are_those_it_cannot_do_without(
    case: tuple[ScorerSpec, str, str], build: Callable[[ScorerSpec], Scorer]
) -> None:
    scorer = build(case[0])
    for field in scorer.needed_fields().values():
        poor = Example(id="e1", input="?", fields={name: value for name, value in FIELDS.items() if name != field})
        scored = score_outcome(scorer, RunOutcome(status=Status.OK, output=case[1]), poor)
        assert scored.status is Status.SCORER_ERROR
        assert repr(field) in (scored.error_message or "")


@pytest.mark.parametrize("output", ["", "\0", "\n", "9" * 100_000, "(" * 100_000, "é\U0001f600\ud800"])
def test_no_output_raises(
    case: tuple[ScorerSpec, str, str], build: Callable[[ScorerSpec], Scorer], output: str
) -> None:
    assert build(case[0]).score(output, EXAMPLE).value == 0.0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(output=st.text())
def test_any_text_gets_a_finite_score(case: tuple[ScorerSpec, str, str], output: str) -> None:
    scorer = build_scorer(case[0], run_program=_never_passes, module_source=USERS)
    score = scorer.score(output, EXAMPLE)
    assert isinstance(score, Score)
    assert score.value in (0.0, 1.0)
    json.dumps(score.model_dump_json())


def _never_passes(scaffold_code: str, input_string: str, timeout: float) -> RunOutcome:
    return RunOutcome(status=Status.SCAFFOLD_ERROR, error_message="It failed.")


SPY = """
import ctypes, os
def add(a, b):
    parent, seen = os.getppid(), []
    for what in ("mem", "environ", "maps", "fd/0", "fd/1", "fd/2", "fd/3", "fd/4"):
        try:
            open(f"/proc/{parent}/{what}", "rb")
            seen.append(what)
        except PermissionError:
            pass
    if ctypes.CDLL(None).ptrace(16, parent, 0, 0) == 0:
        seen.append("ptrace")
    assert os.getuid() != 0
    return f"saw {seen}"
"""


@pytest.mark.docker
def test_in_a_container_a_solution_cannot_look_at_the_tests(tmp_path: Path) -> None:
    spec = ScorerSpec.model_validate({"name": "python_tests", "timeout": 60})
    scorer = build_scorer(spec, run_program=runner_in(DockerSandbox(), tmp_path))
    assert scorer.score(ADD, EXAMPLE).value == 1.0
    assert (scorer.score(SPY, EXAMPLE).feedback or "").endswith("add(1, 2) returned 'saw []'")
