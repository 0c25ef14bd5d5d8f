"""The table of cases: what a sandbox saw, and what it comes to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models import Limits, Status
from worker.sandbox.failure import Observation, classify
from worker.sandbox.protocol import READY

LIMITS = Limits(timeout=2, output_limit=1024)


def frame(kind: str, text: str = "") -> bytes:
    return f"{kind} {len(text.encode())}\n{text}".encode()


def seen(answer: bytes = b"", exit_code: int | None = 0, **more: bool) -> Observation:
    return Observation(answer=READY + answer, exit_code=exit_code, **more)


CASES = {
    "answered": (seen(frame("ok", "42")), "ok"),
    "answered with nothing": (seen(frame("ok", "")), "ok"),
    "answered, though a child was killed for memory": (seen(frame("ok", "42"), oom_killed=True), "ok"),
    "answered up to the limit": (seen(frame("ok", "x" * 1024)), "ok"),
    "made up an answer past the limit": (seen(frame("ok", "x" * 1025)), "output_limit"),
    "made up an answer whose replacement characters pass the limit": (
        seen(b"ok 1024\n" + b"\xff" * 1024),
        "output_limit",
    ),
    "raised": (seen(frame("scaffold_error", "Traceback"), 1), "scaffold_error"),
    "raised because a child was killed for memory": (seen(frame("scaffold_error", "x"), 1, oom_killed=True), "oom"),
    "returned a number": (seen(frame("invalid_output", "int"), 1), "invalid_output"),
    "returned too much": (seen(frame("output_limit", "long"), 1), "output_limit"),
    "ran out of memory in Python": (seen(frame("oom", "MemoryError"), 1), "oom"),
    "inner deadline": (seen(frame("timeout", "at line 3"), 124), "timeout"),
    "inner deadline, and a child killed for memory": (seen(frame("timeout", "x"), 124, oom_killed=True), "oom"),
    "outer deadline": (seen(exit_code=137, deadline_passed=True), "timeout"),
    "answered, then hung": (seen(frame("ok", "42"), 137, deadline_passed=True), "timeout"),
    "killed for memory": (seen(exit_code=137, oom_killed=True), "oom"),
    "a child killed for memory, then ended without a word": (seen(exit_code=0, oom_killed=True), "oom"),
    "killed itself": (seen(exit_code=137), "scaffold_error"),
    "crashed": (seen(exit_code=139), "scaffold_error"),
    "unknown signal": (seen(exit_code=128 + 33), "scaffold_error"),
    "os._exit(0)": (seen(exit_code=0), "scaffold_error"),
    "os._exit(124)": (seen(exit_code=124), "scaffold_error"),
    "os._exit(255)": (seen(exit_code=255), "scaffold_error"),
    "answered, then another exit code": (seen(frame("ok", "42"), 3), "scaffold_error"),
    "answered, then crashed": (seen(frame("ok", "42"), 139), "scaffold_error"),
    "two answers": (seen(frame("ok", "1") + frame("ok", "2")), "scaffold_error"),
    "answer and garbage": (seen(frame("ok", "1") + b"garbage"), "scaffold_error"),
    "garbage": (seen(b"\x00\xff" * 50), "scaffold_error"),
    "garbage and newline": (seen(b"\xff\n"), "scaffold_error"),
    "answer cut short": (seen(b"ok 10\nabc", 137), "scaffold_error"),
    "header cut short": (seen(b"ok 1", 137), "scaffold_error"),
    "a negative length": (seen(b"ok -1\n"), "scaffold_error"),
    "a length in other digits": (seen("ok \u0661\nx".encode()), "scaffold_error"),
    "a length without end": (seen(b"ok " + b"9" * 5000 + b"\n"), "scaffold_error"),
    "claims that the machinery failed": (seen(frame("infra_error", "yours")), "scaffold_error"),
    "claims that the scorer failed": (seen(frame("scorer_error", "yours")), "scaffold_error"),
    "claims that the budget is spent": (seen(frame("budget_exceeded", "x")), "scaffold_error"),
    "error without words": (seen(frame("scaffold_error", ""), 1), "scaffold_error"),
    "printed too much": (seen(exit_code=137, text_flooded=True), "output_limit"),
    "printed too much and answered": (seen(frame("ok", "42"), 0, text_flooded=True), "output_limit"),
    "printed too much and was killed for memory": (
        seen(exit_code=137, text_flooded=True, oom_killed=True),
        "output_limit",
    ),
    "flooded the answer": (seen(b"x" * 9999, 137, answer_flooded=True), "output_limit"),
    "flooded until the deadline": (seen(exit_code=137, text_flooded=True, deadline_passed=True), "output_limit"),
    "no exit code": (seen(exit_code=None), "scaffold_error"),
    "killed by others": (seen(exit_code=137, killed_from_outside=True), "infra_error"),
    "stopped by others, and said so": (
        seen(frame("scaffold_error", "x"), 1, killed_from_outside=True, oom_killed=True),
        "infra_error",
    ),
    "never ready": (Observation(exit_code=2), "infra_error"),
    "never ready in time": (Observation(exit_code=137, deadline_passed=True), "infra_error"),
    "never ready, for want of memory": (Observation(exit_code=137, oom_killed=True), "infra_error"),
    "ready cut short": (Observation(answer=READY[:3], exit_code=1), "infra_error"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_case_has_its_status(case: str) -> None:
    observation, status = CASES[case]
    verdict = classify(observation, LIMITS)
    assert verdict.status == status
    assert (verdict.output is None) == (verdict.status is not Status.OK)
    assert bool(verdict.error_message) == (verdict.status is not Status.OK)


def test_the_answer_is_the_output() -> None:
    assert classify(seen(frame("ok", "naïve\0\n{}")), LIMITS).output == "naïve\0\n{}"


def test_a_message_says_how_the_program_ended() -> None:
    assert "SIGSEGV" in str(classify(seen(exit_code=139), LIMITS).error_message)
    assert "signal 33" in str(classify(seen(exit_code=161), LIMITS).error_message)
    assert "exit code 3" in str(classify(seen(exit_code=3), LIMITS).error_message)


@given(
    answer=st.binary(max_size=200) | st.text(max_size=20).map(lambda text: frame("ok", text)),
    exit_code=st.none() | st.integers(-300, 300),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
)
def test_a_program_that_began_never_fails_the_machinery(
    answer: bytes, exit_code: int | None, flags: tuple[bool, bool, bool, bool]
) -> None:
    oom_killed, deadline_passed, answer_flooded, text_flooded = flags
    verdict = classify(
        seen(
            answer,
            exit_code,
            oom_killed=oom_killed,
            deadline_passed=deadline_passed,
            answer_flooded=answer_flooded,
            text_flooded=text_flooded,
        ),
        LIMITS,
    )
    assert verdict.status is not Status.INFRA_ERROR
