"""``python_tests``: run the example's unit tests against the program in the output (HumanEval, arXiv:2107.03374)."""

import hmac
import json
import secrets
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationError

from shared.errors import InfraError, ScorerError, SpecError
from shared.models.base import Frozen
from shared.models.example import Example
from shared.models.run import RunOutcome
from shared.models.status import Status
from shared.scorers.base import ProgramRunner, Score, Scorer
from shared.scorers.options import field_of, parse_options
from shared.scorers.python_program import candidate_programs

MAX_OUTPUT = 128 * 1024
"""Longest output, in characters, that is taken for a program."""
MAX_FEEDBACK = 2_000


class PythonTestsOptions(Frozen):
    """Options of ``python_tests``. ``timeout``: seconds for the solution and its tests together."""

    prompt_field: str = Field(default="prompt", min_length=1)
    test_field: str = Field(default="test", min_length=1)
    entry_point_field: str = Field(default="entry_point", min_length=1)
    timeout: float = Field(default=20.0, gt=0, le=3600)


class Verdict(Frozen):
    """What the harness says. Only a verdict with the run's own nonce is believed."""

    nonce: str
    verdict: Literal["passed", "failed", "unscorable"]
    feedback: str = ""


class PythonTestsScorer(Scorer):
    """1.0 where every test of the example passes, else 0.0 with the last lines of what went wrong.

    The output is the body of the function that the prompt begins, or a whole program, and either may stand in a fence.
    It runs in a sandbox, in another process than the tests (``python_harness``). Tests that cannot be used, whatever
    the output, raise ScorerError.
    """

    name: ClassVar[str] = "python_tests"
    needs_sandbox: ClassVar[bool] = True

    def __init__(self, *, run_program: ProgramRunner | None = None, **options: Any) -> None:
        self.options = parse_options(self.name, PythonTestsOptions, options)
        if run_program is None:
            raise SpecError("The scorer 'python_tests' runs code and needs a sandbox to run it in; there is none here.")
        self._run_program = run_program

    def needed_fields(self) -> dict[str, str]:
        needed = {"test_field": self.options.test_field, "entry_point_field": self.options.entry_point_field}
        if "prompt_field" in self.options.model_fields_set:
            needed["prompt_field"] = self.options.prompt_field
        return needed

    def score(self, output: str, example: Example) -> Score:
        if len(output) > MAX_OUTPUT:
            return Score(value=0.0, feedback=f"The output has {len(output)} characters, too many for a program.")
        nonce = secrets.token_hex(16)
        pieces = self._pieces(output, example)
        outcome = self._run_program(harness_source(), json.dumps({"nonce": nonce, **pieces}), self.options.timeout)
        verdict = _verdict(outcome, nonce)
        if verdict is None:
            return Score(value=0.0, feedback=self._why(outcome))
        if verdict.verdict == "unscorable":
            raise ScorerError(f"Example {example.id!r} cannot be scored: {verdict.feedback}.")
        if verdict.verdict == "passed":
            return Score(value=1.0)
        return Score(value=0.0, feedback=verdict.feedback[-MAX_FEEDBACK:] or "The tests failed.")

    def _pieces(self, output: str, example: Example) -> dict[str, Any]:
        """What the harness is given. The prompt may be the example's input, which is no field."""
        prompt = example.fields.get(self.options.prompt_field, example.input)
        test = field_of(example, self.options.test_field)
        entry_point = field_of(example, self.options.entry_point_field)
        if not all(isinstance(piece, str) for piece in (prompt, test, entry_point)) or not entry_point.isidentifier():
            raise ScorerError(
                f"Example {example.id!r} holds no tests to run: {self.options.prompt_field!r} and "
                f"{self.options.test_field!r} must be text, and {self.options.entry_point_field!r} a function's name."
            )
        programs = candidate_programs(prompt, output, entry_point)
        return {"prompt": prompt, "test": test, "entry_point": entry_point, "programs": programs}

    def _why(self, outcome: RunOutcome) -> str:
        """Feedback for a run that ended without a verdict."""
        if outcome.status is Status.TIMEOUT:
            return f"The tests timed out after {self.options.timeout:g} s."
        if outcome.status is Status.OK:
            return "The tests were not run to their end."
        return f"The tests ended early ({outcome.status}): {outcome.error_message or 'no reason given'}"[:MAX_FEEDBACK]


@cache
def harness_source() -> str:
    """The text of the program that runs in the sandbox."""
    return files("shared.scorers").joinpath("python_harness.py").read_text(encoding="utf-8")


def _verdict(outcome: RunOutcome, nonce: str) -> Verdict | None:
    """The harness's verdict; None where there is none, or one that somebody else wrote."""
    if outcome.status is Status.INFRA_ERROR:
        raise InfraError(outcome.error_message or "The sandbox failed while it ran the tests.")
    if outcome.status is not Status.OK:
        return None
    try:
        verdict = Verdict.model_validate_json(outcome.output or "")
    except ValidationError:
        return None
    return verdict if hmac.compare_digest(verdict.nonce.encode(), nonce.encode()) else None
