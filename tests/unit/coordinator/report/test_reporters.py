"""What each reporter writes, and where."""

import io
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from rich.console import Console

from coordinator.report.base import Reporter, Summary
from coordinator.report.json_report import JsonReporter
from coordinator.report.make import make_reporter
from coordinator.report.plain import PlainReporter
from coordinator.report.progress import Progress
from coordinator.report.reporter import progress_line
from coordinator.report.rich_report import RichReporter, view
from shared.models import Details, Job, Leader, Plan, Receipt, RunResult, SplitDetails, Status, Usage, Winner
from shared.statistics import estimate

SUMMARY = Summary(
    directory="experiments/demo_1",
    experiment="demo_1",
    complete=True,
    seconds=8.0,
    details=(
        Details(
            iteration=0,
            splits={
                "valid": {
                    "0": SplitDetails(
                        **estimate([1, 1, 1, 0]).model_dump(),
                        examples=4,
                        planned=4,
                        missing=0,
                        complete=True,
                        statuses={Status.OK: 3, Status.TIMEOUT: 1},
                    )
                }
            },
        ),
    ),
)


class Clock:
    """A clock that stands still until it is told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def act_out(reporter: Reporter, clock: Clock, plan: Plan, receipt: Callable[..., Receipt]) -> None:
    """Four runs two seconds apart: one tried again, one timed out."""
    jobs = list(plan.jobs())
    failed = Receipt(status=Status.INFRA_ERROR, attempt=1, error_message="the engine\nwent \x1b[2Jaway")
    reporter.iteration_started(plan)
    for index, job in enumerate(jobs):
        clock.now += 2.0
        if index == 1:
            reporter.run_retried(job, failed)
        reporter.run_finished(job, receipt(Status.TIMEOUT, 0.0) if index == 3 else receipt())
        reporter.tick()
    reporter.finished(SUMMARY)
    reporter.close()


def test_plain_lines(make_plan: Callable[..., Plan], make_receipt: Callable[..., Receipt]) -> None:
    out, err, clock = io.StringIO(), io.StringIO(), Clock()
    act_out(PlainReporter(out, err, {"0": "vote"}, clock), clock, make_plan(("0",), 4), make_receipt)
    assert err.getvalue().splitlines() == [
        "4 runs: 1 scaffold on 4 examples each.",
        "1/4 runs (25%), 30.0 runs/min, about 6 s left; 15 tokens",
        "Attempt 1 of scaffold 0 on valid_1 (iteration 0 of demo_1) failed on our side and is made again: "
        "the engine went \\x1b[2Jaway",
        "2/4 runs (50%), 30.0 runs/min, about 4 s left; 1 tried again; 30 tokens",
        "3/4 runs (75%), 30.0 runs/min, about 2 s left; 1 tried again; 45 tokens",
        "4/4 runs (100%); 1 timed out; 1 tried again; 60 tokens",
        "",
        "Complete after 8 s.",
        "",
        "Experiment: experiments/demo_1",
        "  scaffoldry ls experiments/demo_1              the scores",
        "  scaffoldry show experiments/demo_1 0 valid_3  one run: input, answer, score",
        "  scaffoldry logs experiments/demo_1 0 valid_3  its log",
        "  scaffoldry resume experiments/demo_1          goes on with it; no finished run is repeated",
    ]
    assert out.getvalue().splitlines() == [
        "scaffold  name  n   mean  95% interval    failures     s/run",
        "--------  ----  -  -----  --------------  -----------  -----",
        "0         vote  4  0.750  0.301 to 0.954  1 timed out   2.00",
    ]


def test_plain_lines_stay_few(make_plan: Callable[..., Plan], make_receipt: Callable[..., Receipt]) -> None:
    err, clock = io.StringIO(), Clock()
    reporter, plan = PlainReporter(io.StringIO(), err, {}, clock), make_plan(("0",), 2000)
    reporter.iteration_started(plan)
    for job in plan.jobs():
        clock.now += 0.01
        reporter.run_retried(job, make_receipt(Status.INFRA_ERROR))
        reporter.run_finished(job, make_receipt())
        reporter.tick()
    # A line at the start, ten of progress, and one about attempts every five of the twenty seconds.
    assert len(err.getvalue().splitlines()) <= 1 + 10 + 5


def test_slow_runs_still_get_a_line(make_plan: Callable[..., Plan], make_receipt: Callable[..., Receipt]) -> None:
    err, clock = io.StringIO(), Clock()
    reporter, plan = PlainReporter(io.StringIO(), err, {}, clock), make_plan(("0",), 1000)
    reporter.iteration_started(plan)
    reporter.run_finished(next(plan.jobs()), make_receipt())
    reporter.tick()
    assert len(err.getvalue().splitlines()) == 1
    clock.now += 10
    reporter.tick()
    reporter.tick()
    assert err.getvalue().splitlines()[1:] == ["1/1,000 runs (0%), 6.0 runs/min, about 2 h 46 min left; 15 tokens"]


def test_costs_and_restored_runs_are_in_the_line(make_plan: Callable[..., Plan], make_job: Callable[..., Job]) -> None:
    usage = Usage(calls=1, input_tokens=1000, output_tokens=234, usd=0.25)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    result = RunResult(
        **make_job().model_dump(),
        example_id="0",
        status=Status.OK,
        score=1.0,
        usage=usage,
        started_at=now,
        finished_at=now,
    )
    progress = Progress.start(make_plan(("0",), 2), 0.0).with_restored(result)
    assert progress_line(progress, 1.0) == "1/2 runs (50%); 1 done before; 1,234 tokens; $0.2500"
    assert progress_line(Progress(), 1.0) == "0/0 runs"


def test_quarantined_runs_are_told_and_cancelled_ones_are_not(
    make_plan: Callable[..., Plan], make_job: Callable[..., Job]
) -> None:
    err, clock = io.StringIO(), Clock()
    reporter = PlainReporter(io.StringIO(), err, {}, clock)
    reporter.iteration_started(make_plan(("0",), 2))
    reporter.run_quarantined(make_job(), Receipt(status=Status.INFRA_ERROR, cancelled=True))
    reporter.run_quarantined(make_job(), Receipt(status=Status.INFRA_ERROR, attempt=3, error_message="no engine"))
    assert err.getvalue().splitlines()[1:] == [
        "Given up after 3 attempts: scaffold 0 on valid_0 (iteration 0 of demo_1): no engine"
    ]


def test_json_is_an_object_a_line(make_plan: Callable[..., Plan], make_receipt: Callable[..., Receipt]) -> None:
    out, err, clock = io.StringIO(), io.StringIO(), Clock()
    reporter = JsonReporter(out, err)
    reporter.say("No worker is listening.")
    act_out(reporter, clock, make_plan(("0",), 4), make_receipt)
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [event["event"] for event in events] == [
        "message",
        "iteration_started",
        "run_finished",
        "run_retried",
        *["run_finished"] * 3,
        "finished",
    ]
    assert out.getvalue().isascii()
    assert events[2]["run_type"] == "valid_0" and events[2]["usage"]["input_tokens"] == 10
    assert (events[-1]["exit_code"], events[-1]["directory"]) == (0, "experiments/demo_1")
    assert events[-1]["resume"] == "scaffoldry resume experiments/demo_1"
    assert events[-1]["details"][0]["splits"]["valid"]["0"]["mean"] == 0.75
    assert err.getvalue() == "No worker is listening.\n"


def terminal() -> tuple[Console, io.StringIO]:
    """A console that takes itself for a terminal of 30 lines."""
    screen = io.StringIO()
    return Console(file=screen, force_terminal=True, width=110, height=30, highlight=False, _environ={}), screen


def test_the_live_view_is_redrawn_at_most_four_times_a_second(
    make_plan: Callable[..., Plan], make_receipt: Callable[..., Receipt]
) -> None:
    console, screen = terminal()
    clock, out = Clock(), io.StringIO()
    reporter, plan = RichReporter(console, out, {}, clock), make_plan(("0",), 100)
    reporter.iteration_started(plan)
    for job in plan.jobs():
        clock.now += 0.01
        reporter.run_finished(job, make_receipt())
        reporter.tick()
    assert screen.getvalue().count("/100 runs") <= 5
    reporter.finished(SUMMARY)
    reporter.close()
    assert screen.getvalue().count("\x1b[?25l") == screen.getvalue().count("\x1b[?25h") == 1, "the cursor is back"
    assert "Experiment: experiments/demo_1" in screen.getvalue()
    assert out.getvalue().startswith("scaffold ")


def test_the_live_view_makes_escape_sequences_visible(make_plan: Callable[..., Plan]) -> None:
    console, screen = terminal()
    reporter = RichReporter(console, io.StringIO(), {}, Clock())
    reporter.iteration_started(make_plan())
    reporter.say("the worker said \x1b]0;title\x07 and [red]this[/red]")
    reporter.close()
    assert "\\x1b]0;title\\x07 and [red]this[/red]" in screen.getvalue()


def draw(progress: Progress, names: dict[str, str]) -> str:
    page = io.StringIO()
    Console(file=page, width=110, _environ={}).print(view(progress, names, 108.0))
    return page.getvalue()


def test_the_live_view(
    make_plan: Callable[..., Plan], make_job: Callable[..., Job], make_receipt: Callable[..., Receipt]
) -> None:
    progress = Progress.start(make_plan(), 100.0)
    for index, score in enumerate((0.0, 1.0, 1.0)):
        job = make_job("1", f"valid_{index}")
        progress = progress.with_finished(job, make_receipt(score=score), 102.0 + 2 * index)
    progress = progress.with_finished(make_job("0"), make_receipt(Status.TIMEOUT, 0.0), 108.0)
    page = draw(progress, {"1": "vote"})
    assert "4/8 runs" in page and "30.0 runs/min, about 8 s left" in page and "60 tokens" in page
    rows = [line.split() for line in page.splitlines()[1:]]
    assert rows[0] == ["scaffold", "name", "n", "valid", "mean", "[95%]", "failures", "tokens"]
    assert rows[1] == ["1", "vote", "3", "0.667", "[0.208,", "0.939]", "-", "45"]
    assert rows[2] == ["0", "1", "0.000", "1", "timed", "out", "15"]


def test_the_live_view_shows_the_best_of_many_and_says_so(
    make_plan: Callable[..., Plan], make_job: Callable[..., Job], make_receipt: Callable[..., Receipt]
) -> None:
    ids = tuple(str(index) for index in range(200))
    progress = Progress.start(make_plan(ids, 1), 100.0)
    for scaffold_id in ids:
        score = int(scaffold_id) / 200
        progress = progress.with_finished(make_job(scaffold_id), make_receipt(score=score), 101.0)
    lines = draw(progress, {}).splitlines()
    assert [line.split()[0] for line in lines[2:-1]] == [str(index) for index in range(199, 184, -1)]
    assert lines[-1].strip() == "... and 185 scaffolds more; the best are shown"


def test_the_reporter_fits_where_the_output_goes() -> None:
    assert isinstance(make_reporter(True), JsonReporter)
    assert isinstance(make_reporter(False, console=Console(file=io.StringIO(), _environ={})), PlainReporter)
    assert isinstance(make_reporter(False, console=terminal()[0]), RichReporter)
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert isinstance(make_reporter(False, console=dumb), PlainReporter)


@pytest.mark.parametrize("kind", ["plain", "json", "rich"])
def test_a_reader_that_goes_away_stops_nothing(
    kind: str,
    make_plan: Callable[..., Plan],
    make_receipt: Callable[..., Receipt],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends = [os.pipe() for _ in range(2)]
    for reading, _ in ends:
        os.close(reading)
    if kind == "rich":
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
    clock = Clock()
    with open(ends[0][1], "w") as out, open(ends[1][1], "w") as err:  # closing them has what is left go somewhere
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        reporter = make_reporter(kind == "json")
        assert type(reporter) is {"plain": PlainReporter, "json": JsonReporter, "rich": RichReporter}[kind]
        act_out(reporter, clock, make_plan(("0",), 4), make_receipt)
    assert clock.now == 108.0, "it went through to the end"


def test_a_table_that_nobody_reads_leaves_the_closing_lines(
    make_plan: Callable[..., Plan], make_receipt: Callable[..., Receipt]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    err, clock = io.StringIO(), Clock()
    with open(writing, "w") as out:
        act_out(PlainReporter(out, err, {}, clock), clock, make_plan(("0",), 4), make_receipt)
    assert "Experiment: experiments/demo_1\n" in err.getvalue() and "resume experiments/demo_1" in err.getvalue()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 0),
        ({"complete": False}, 1),
        ({"quarantined": 1}, 1),
        ({"scorer_errors": 1}, 1),
        ({"interrupted": True, "quarantined": 1}, 130),
    ],
)
def test_exit_codes(fields: dict[str, object], code: int) -> None:
    assert SUMMARY.model_copy(update=fields).exit_code == code


def test_the_live_view_claims_no_interval_where_examples_are_repeated(
    make_plan: Callable[..., Plan], make_job: Callable[..., Job], make_receipt: Callable[..., Receipt]
) -> None:
    plan = make_plan()
    again = {name: example.model_copy(update={"repeat": 1}) for name, example in plan.runs.items()}
    progress = Progress.start(plan.model_copy(update={"runs": again}), 100.0)
    for index in range(3):
        progress = progress.with_finished(make_job("1", f"valid_{index}"), make_receipt(), 102.0)
    assert "valid mean" in draw(progress, {}) and "[" not in draw(progress, {})


def leading(fields: dict[str, object]) -> Summary:
    """Two iterations; the child 0-0 leads 0, is not separable from it, and was tested."""
    parts = {
        id: SplitDetails(**estimate([1.0] * good + [0.0] * (8 - good)).model_dump(), **WHOLE)
        for id, good in (("0", 4), ("0-0", 5))
    }
    leaders = (
        Leader(scaffold_id="0-0", iteration=1, n=8, mean=0.625, p_best=0.875, examples=8),
        Leader(
            scaffold_id="0", iteration=0, n=8, mean=0.5, difference=-0.125, ci95=(-0.5, 0.25), p_best=0.125, examples=8
        ),
    )
    winner = Winner(scaffold_id="0-0", iteration=1, valid_mean=0.625, test_mean=0.5, gap=0.125)
    first = Details(iteration=0, splits={"valid": {"0": parts["0"]}})
    test = {"0-0": SplitDetails(**estimate([1.0, 0.0]).model_dump(), examples=2, planned=2, missing=0, complete=True)}
    second = Details(iteration=1, splits={"valid": {"0-0": parts["0-0"]}, "test": test}, leaders=leaders, winner=winner)
    return SUMMARY.model_copy(update={"details": (first, second), **fields})


WHOLE = {"examples": 8, "planned": 8, "missing": 0, "complete": True, "statuses": {Status.OK: 8}}


def test_the_end_of_a_loop_is_all_scaffolds_the_leaders_and_the_test() -> None:
    out, err = io.StringIO(), io.StringIO()
    PlainReporter(out, err, {}, Clock()).finished(leading({}))
    assert out.getvalue().splitlines() == [
        "scaffold  n  valid mean  95% interval    test mean  failures",
        "--------  -  ----------  --------------  ---------  --------",
        "0-0       8       0.625  0.306 to 0.863      0.500  -",
        "0         8       0.500  0.215 to 0.785          -  -",
        "",
        "scaffold  n   mean  difference  95% interval     P(best)  verdict",
        "--------  -  -----  ----------  ---------------  -------  -----------------------------",
        "0-0       8  0.625           -  -                   0.88  the winner",
        "0         8  0.500      -0.125  -0.500 to 0.250     0.12  not separable from the winner",
    ]
    assert err.getvalue().splitlines()[1:5] == [
        "Complete after 8 s.",
        "The winner is scaffold 0-0: validation mean 0.625, 95% 0.306 to 0.863; "
        "the best of the leaders with probability 0.88.",
        "Scaffold 0 is not separable from the winner.",
        "On the test split scaffold 0-0 has 0.500 (95% 0.095 to 0.905, 2 runs), on validation 0.625: a gap of +0.125.",
    ]


def test_a_leader_with_runs_missing_is_no_winner_yet() -> None:
    whole = leading({})
    first, second = whole.details
    best = second.leaders[0].model_copy(update={"complete": False})
    second = second.model_copy(update={"leaders": (best, *second.leaders[1:])})
    out, err = io.StringIO(), io.StringIO()
    PlainReporter(out, err, {}, Clock()).finished(whole.model_copy(update={"details": (first, second)}))
    assert out.getvalue().splitlines()[7].endswith("the winner, incomplete")
    assert "The best so far, with runs still missing, is scaffold 0-0: validation mean 0.625" in err.getvalue()


def test_a_budgets_end_and_what_was_skipped_are_said() -> None:
    err = io.StringIO()
    fields = {
        "complete": False,
        "stopped": "The budget of 100 llm_calls is used up.",
        "skipped": {"1-0": "bad\nsyntax"},
    }
    summary = leading(fields)
    PlainReporter(io.StringIO(), err, {}, Clock()).finished(summary)
    lines = err.getvalue().splitlines()
    assert lines[1] == (
        "Stopped after 8 s: The budget of 100 llm_calls is used up. Every finished run is kept and scored; "
        "to go on, raise that bound in the spec and resume."
    )
    assert lines[5:7] == ["1 proposed scaffold skipped, which did not start or gave no answer:", "  1-0: bad syntax"]
    assert summary.exit_code == 0
    assert summary.model_copy(update={"quarantined": 1}).exit_code == 1


def test_plain_lines_say_what_part_of_the_loop_begins(make_plan: Callable[..., Plan]) -> None:
    err = io.StringIO()
    reporter = PlainReporter(io.StringIO(), err, {}, Clock())
    once = make_plan(("0", "1"), 4)
    runs = {
        f"valid_{index}": example.model_copy(update={"repeat": index // 4})
        for index, example in enumerate([*once.runs.values()] * 3)
    }
    for plan in (
        once.model_copy(update={"runs": runs}),
        once.model_copy(update={"iteration": 2}),
        make_plan(("0",), 1, ("train",)),
    ):
        reporter.iteration_started(plan)
    assert err.getvalue().splitlines() == [
        "24 runs: 2 scaffolds on 4 examples each, 3 times.",
        "Iteration 2, valid: 8 runs: 2 scaffolds on 4 examples each.",
        "Iteration 0, train: 1 run: 1 scaffold on 1 example each.",
    ]
