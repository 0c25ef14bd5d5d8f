"""The fold against plain sums over all events."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.report.progress import SAMPLE_SECONDS, WINDOW_RUNS, WINDOW_SECONDS, Progress
from shared.models import Example, Job, Plan, Receipt, RunResult, Status, Usage
from shared.models.ids import split_of
from shared.statistics import estimate

COUNTED = [status for status in Status if status.counts]
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["0", "1", "2-0"]),
        st.sampled_from(["train_0", "valid_1", "valid_22"]),
        st.sampled_from(COUNTED),
        st.floats(-5, 5),
        st.floats(0, 40),
    ),
    max_size=60,
)


def receipt_of(status: Status, score: float, seconds: float) -> Receipt:
    usage = Usage(calls=1, input_tokens=3, output_tokens=4, usd=0.5)
    return Receipt(status=status, score=score, seconds=seconds, usage=usage)


def job_of(scaffold_id: str, run_type: str) -> Job:
    return Job(experiment="demo", iteration=0, scaffold_id=scaffold_id, run_type=run_type)


def plan_of(*run_types: str) -> Plan:
    runs = {run_type: Example(id=run_type, input="") for run_type in run_types}
    assigned = {split_of(run_type): ("0", "1", "2-0") for run_type in run_types}
    return Plan(experiment="demo", iteration=0, runs=runs, assigned=assigned)


@given(EVENTS)
def test_counts_and_means_are_those_of_all_events(events: list[tuple[str, str, Status, float, float]]) -> None:
    progress, now = Progress.start(plan_of("train_0", "valid_1", "valid_22"), 0.0), 0.0
    for scaffold_id, run_type, status, score, passed in events:
        now += passed
        progress = progress.with_finished(job_of(scaffold_id, run_type), receipt_of(status, score, passed), now)
    assert (progress.done, progress.total) == (len(events), 9)
    assert progress.statuses == Counter(event[2] for event in events)
    assert progress.usage.input_tokens == 3 * len(events)
    assert (progress.usage.usd or 0) == pytest.approx(0.5 * len(events))
    for scaffold_id, one in progress.scaffolds.items():
        mine = [event for event in events if event[0] == scaffold_id]
        expected = estimate([event[3] for event in mine if split_of(event[1]) == "valid"])
        found = one.scores.estimate()
        assert one.statuses == Counter(event[2] for event in mine)
        assert (one.done, one.tokens, found.n) == (len(mine), 7 * len(mine), expected.n)
        assert found.mean == pytest.approx(expected.mean, abs=1e-9)
        assert found.stderr == pytest.approx(expected.stderr, abs=1e-6)
        seconds = progress.seconds_per_run().get(scaffold_id, 0.0)
        assert seconds * len(mine) == pytest.approx(sum(event[4] for event in mine), abs=1e-6)


@given(st.lists(st.floats(0, 40), max_size=80), st.floats(0.1, 100))
def test_rate_is_that_of_the_recent_past(gaps: list[float], later: float) -> None:
    progress, now = Progress.start(plan_of("valid_0"), 5.0), 5.0
    samples = [(5.0, 0)]
    for count, gap in enumerate(gaps, start=1):
        now += gap
        progress = progress.with_finished(job_of("0", "valid_0"), receipt_of(Status.OK, 1.0, 1.0), now)
        if now - samples[-1][0] >= SAMPLE_SECONDS:
            samples.append((now, count))
    old = [one for one in samples if now - one[0] >= WINDOW_SECONDS and len(gaps) - one[1] >= WINDOW_RUNS]
    then, count = old[-1] if old else samples[0]
    expected = (len(gaps) - count) / (now + later - then)
    assert (progress.rate(now + later) or 0.0) == pytest.approx(expected)


@pytest.mark.parametrize("gap", [0.001, 0.7, 30.0, 4000.0])
def test_memory_is_flat(gap: float) -> None:
    progress, now = Progress.start(plan_of("valid_0"), 0.0), 0.0
    for _ in range(3000):
        now += gap
        progress = progress.with_finished(job_of("0", "valid_0"), receipt_of(Status.OK, 1.0, 1.0), now)
    assert len(progress.samples) <= WINDOW_SECONDS / SAMPLE_SECONDS + WINDOW_RUNS + 2
    assert progress.rate(now) == pytest.approx(1 / gap, rel=0.05)


def test_time_left(make_plan: Callable[..., Plan]) -> None:
    progress = Progress.start(make_plan(("0",), 10), 100.0)
    assert progress.rate(100.0) is None and progress.eta(100.0) is None
    for index in range(4):
        now = 102.0 + 2 * index
        progress = progress.with_finished(job_of("0", f"valid_{index}"), receipt_of(Status.OK, 1.0, 1.0), now)
    assert progress.rate(108.0) == pytest.approx(0.5)
    assert progress.eta(108.0) == pytest.approx(12.0)


def test_restored_runs_count_but_do_not_hurry_the_rate(make_plan: Callable[..., Plan]) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    result = RunResult(
        **job_of("0", "valid_0").model_dump(),
        example_id="0",
        status=Status.OK,
        score=1.0,
        execution_time=3.0,
        started_at=now,
        finished_at=now,
    )
    progress = Progress.start(make_plan(("0",), 4), 0.0).with_restored(result)
    assert (progress.done, progress.restored, progress.remaining) == (1, 1, 3)
    assert progress.rate(10.0) is None
    progress = progress.with_finished(job_of("0", "valid_1"), receipt_of(Status.OK, 0.0, 1.0), 10.0)
    assert progress.rate(10.0) == pytest.approx(0.1)
    assert progress.scaffolds["0"].scores.estimate().mean == 0.5


def test_what_our_side_fails_is_in_no_mean(make_plan: Callable[..., Plan]) -> None:
    progress = Progress.start(make_plan(("0",), 4), 0.0).with_retried()
    progress = progress.with_quarantined(Receipt(status=Status.INFRA_ERROR, attempt=3))
    progress = progress.with_quarantined(Receipt(status=Status.INFRA_ERROR, cancelled=True))
    assert (progress.retried, progress.quarantined, progress.cancelled) == (1, 1, 1)
    assert (progress.done, progress.remaining) == (0, 2)
    assert progress.scaffolds["0"].scores.n == 0


def test_the_first_failure_is_the_run_worth_a_look(make_plan: Callable[..., Plan]) -> None:
    progress = Progress.start(make_plan(("0", "1"), 3), 0.0)
    for scaffold_id, status in (("0", Status.OK), ("1", Status.TIMEOUT), ("0", Status.OOM)):
        progress = progress.with_finished(job_of(scaffold_id, "valid_2"), receipt_of(status, 0.0, 1.0), 1.0)
    assert progress.notable == job_of("1", "valid_2")


@pytest.mark.parametrize(
    ("splits", "shown"),
    [(("train", "valid"), "valid"), (("train", "test"), "test"), (("train",), "train"), ((), "valid")],
)
def test_the_split_on_show(make_plan: Callable[..., Plan], splits: tuple[str, ...], shown: str) -> None:
    assert Progress.start(make_plan(splits=splits), 0.0).split == shown


def test_repeated_examples_are_noticed() -> None:
    runs = {f"valid_{index}": Example(id="a", input="", repeat=index) for index in range(2)}
    plan = Plan(experiment="demo", iteration=0, runs=runs, assigned={"valid": ("0",)})
    assert Progress.start(plan, 0.0).repeated and not Progress.start(plan_of("valid_0"), 0.0).repeated
