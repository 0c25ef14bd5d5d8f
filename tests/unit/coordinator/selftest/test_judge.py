"""Each way in which a world can be wrong is found, and what is right passes."""

from typing import Any

import pytest

from coordinator.selftest.judge import Expected, Observed, judge
from coordinator.selftest.results import Bound, SeedRun
from coordinator.selftest.witness import Ledger
from coordinator.verify.flaw import Fault, Flaw
from tests.unit.coordinator.selftest.conftest import ledger

RUNS = tuple(f"valid_{index}" for index in range(4))
WRONG = Flaw(fault=Fault.WRONG, file="scoring/details_0.json", problem="It is not what the results come to.")
TO_COME = Flaw(fault=Fault.INCOMPLETE, file="plans/0.json", problem="The results of 1 of 4 are still to come.")
HOLDS = Bound(holds=True, figure="0 s")

TALLY = {"n": 3, "examples": 3, "planned": 4, "missing": 1, "complete": False, "statuses": {"ok": 3}, "mean": 1.0}
"""What the details say where one of the four runs was given up."""


def judged(found: Ledger, but_for: tuple[str, ...] = (), bound: Bound = HOLDS, **observed: Any) -> SeedRun:
    expected = Expected(run_types=RUNS, quiet=ledger(), but_for=but_for)
    return judge(7, found, expected, Observed.model_validate({"exit_code": 0, **observed}), bound)


def without(run: str, **changes: Any) -> Ledger:
    rest = {name: one for name, one in ledger().results.items() if name != run}
    return ledger(results=rest, counted=3, **changes)


def test_a_world_like_the_quiet_one_passes(quiet: Ledger) -> None:
    run = judged(quiet, seconds=12.34)
    assert run == SeedRun(seed=7, bound=HOLDS, seconds=12.3)
    assert run.passed


def test_tries_and_times_are_no_difference() -> None:
    assert judged(ledger(attempts=dict.fromkeys(RUNS, 3))).passed


@pytest.mark.parametrize(
    ("found", "observed", "said"),
    [
        (without("valid_2"), {}, "1 without a committed result: valid_2."),
        (ledger(), {"changed": ("valid_1",)}, "1 counted twice, or not planned: valid_1."),
        (ledger(runs=5, counted=4), {}, "1 counted twice, or not planned: valid_4."),
        (ledger(counted=5), {}, "The details count 5 runs where 4 are planned."),
        (ledger(scoring={"scores_0.json": "x", "details_0.json": "b"}), {}, "not as in the fault-free run: scores_0"),
        (ledger(scoring={"scores_0.json": "a"}), {}, "1 not as in the fault-free run: details_0.json."),
        (ledger(quarantined=("valid_3",)), {}, "1 wrongly in quarantine, or not there: valid_3."),
        (ledger(torn=("plans/0.json",)), {}, "1 torn or damaged: plans/0.json."),
        (ledger(temporary=("results/.tmp-1",)), {}, "1 left over from writing: results/.tmp-1."),
        (ledger(), {"strays": ("job",)}, "1 still there 60 s after the end: job."),
        (ledger(), {"overstayed": ("job (container 1)",)}, "1 there for more than 60 s after its run had ended: job"),
        (ledger(), {"leftovers": ("tmp/a",)}, "1 left over in the folder for temporary files 60 s"),
        (ledger(), {"kept": ("tmp/a",)}, "1 left over there by workers that ended: tmp/a."),
        (ledger(), {"flaws": (WRONG,)}, "1 amiss, says verify: scoring/details_0.json (wrong)."),
        (ledger(), {"flaws": (TO_COME,)}, "1 amiss, says verify: plans/0.json (incomplete)."),
        (ledger(), {"trouble": ("The row took longer than it may.",)}, "The row took longer than it may."),
        (ledger(), {"exit_code": 1}, "The coordinator ended with 1, and not with 0."),
        (ledger(), {"exit_code": None}, "The coordinator ended with None, and not with 0."),
    ],
)
def test_what_is_wrong_is_said(found: Ledger, observed: dict[str, Any], said: str) -> None:
    run = judged(found, **observed)
    assert not run.passed
    assert any(said in problem for problem in run.problems), run.problems


def test_a_run_that_was_scored_otherwise_is_named() -> None:
    results = ledger().results | {"valid_1": {"status": "scaffold_error", "score": 0.0, "output": None}}
    run = judged(ledger(results=results, scoring={"scores_0.json": "x", "details_0.json": "y"}))
    assert "1 scored otherwise: valid_1." in run.problems
    assert not run.same_scores


def test_the_counts_are_those_of_the_table() -> None:
    run = judged(without("valid_0"), changed=("valid_1", "valid_2"), strays=("a", "b", "c"), overstayed=("d",))
    assert (run.lost, run.doubled, run.strays) == (1, 2, 4)


def test_a_bound_that_does_not_hold_fails_the_row(quiet: Ledger) -> None:
    run = judged(quiet, bound=Bound(holds=False, figure="90 s"))
    assert run.problems == ("The row's own bound does not hold: 90 s.",)


def test_an_excused_run_must_be_in_quarantine_and_the_others_as_ever() -> None:
    scoring = {"scores_0.json": "other", "details_0.json": "other"}
    poisoned = without("valid_2", quarantined=("valid_2",), scoring=scoring, tally=TALLY, mean=1.0)
    assert judged(poisoned, but_for=("valid_2",), exit_code=1, flaws=(TO_COME,)).passed
    assert not judged(poisoned, but_for=("valid_2",), exit_code=1, flaws=(TO_COME, WRONG)).passed
    assert not judged(poisoned, but_for=("valid_2",), exit_code=0).passed
    unkept = poisoned.model_copy(update={"quarantined": ()})
    assert not judged(unkept, but_for=("valid_2",), exit_code=1).passed
    changed = poisoned.model_copy(update={"results": poisoned.results | {"valid_1": {"score": 0.0}}})
    assert not judged(changed, but_for=("valid_2",), exit_code=1).passed
    assert judged(ledger(), but_for=("valid_2",), exit_code=1).doubled == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mean": 0.75}, "1 not as in the fault-free run: scores_0.json."),
        ({"tally": TALLY | {"mean": 0.75}}, "1 not as in the fault-free run: details_0.json (mean)."),
        ({"tally": TALLY | {"n": 4}}, "1 not as in the fault-free run: details_0.json (n)."),
        ({"tally": TALLY | {"complete": True}}, "1 not as in the fault-free run: details_0.json (complete)."),
        ({"tally": TALLY | {"statuses": {"ok": 2, "timeout": 1}}}, "details_0.json (statuses)."),
    ],
)
def test_without_an_excused_run_the_scores_are_those_of_the_others(changes: dict[str, Any], said: str) -> None:
    whole: dict[str, Any] = {"quarantined": ("valid_2",), "tally": TALLY, "mean": 1.0}
    run = judged(without("valid_2", **(whole | changes)), but_for=("valid_2",), exit_code=1)
    assert not run.same_scores
    assert any(said in problem for problem in run.problems), run.problems


def test_a_sentence_names_no_more_than_a_few() -> None:
    changed = tuple(f"valid_{index}" for index in range(9))
    (said, *_) = judged(ledger(), changed=changed).problems
    assert said == "9 counted twice, or not planned: valid_0, valid_1, valid_2, valid_3, valid_4 and 4 more."
