"""Tables and sentences to the letter."""

from coordinator.report.base import Summary
from coordinator.report.standing import closing, remarks, standing_table
from shared.models import Details, Job, SplitDetails, Status
from shared.statistics import estimate


def part(scores: list[float], planned: int | None = None, tokens: int = 0, **statuses: int) -> SplitDetails:
    planned = len(scores) if planned is None else planned
    return SplitDetails(
        **estimate(scores).model_dump(),
        examples=len(scores),
        planned=planned,
        missing=planned - len(scores),
        complete=planned == len(scores),
        statuses={Status(name): count for name, count in statuses.items()},
        input_tokens=tokens,
    )


def details(**splits: dict[str, SplitDetails]) -> Details:
    return Details(iteration=0, splits=splits)


THREE = details(
    valid={
        "0": part([0, 1, 0, 0], tokens=1200, ok=3, timeout=1),
        "1": part([1, 1, 0], planned=4, tokens=900, ok=3),
        "2": part([], planned=4),
    }
)


def test_the_table_puts_the_best_first_and_says_what_is_incomplete() -> None:
    found = standing_table(THREE, {"0": "direct", "1": "vote", "2": "tool"}, {"0": 1.5, "1": 0.25})
    assert found.splitlines() == [
        "scaffold  name         n   mean  95% interval    failures     s/run  tokens",
        "--------  ------  ------  -----  --------------  -----------  -----  ------",
        "1         vote    3 of 4  0.667  0.208 to 0.939  -             0.25     900",
        "0         direct       4  0.250  0.046 to 0.699  1 timed out   1.50   1,200",
        "2         tool    0 of 4      -  -               -                -       0",
    ]


def test_columns_that_say_nothing_are_left_out() -> None:
    found = standing_table(details(valid={"0": part([1, 1], ok=2)}), {}, {})
    assert found.splitlines() == [
        "scaffold  n   mean  95% interval    failures",
        "--------  -  -----  --------------  --------",
        "0         2  1.000  0.342 to 1.000  -",
    ]


def test_several_splits_are_told_apart() -> None:
    found = standing_table(details(valid={"0": part([1, 0])}, train={"0": part([1, 1])}), {}, {})
    assert [line.split()[0] for line in found.splitlines()[2:]] == ["train", "valid"]


def test_markdown() -> None:
    found = standing_table(details(valid={"0": part([1, 1], ok=2)}), {"0": "a|b"}, {}, markdown=True)
    assert found.splitlines()[0] == "| scaffold | name | n | mean | 95% interval | failures |"
    assert found.splitlines()[2] == "| 0 | a\\|b | 2 | 1.000 | 0.342 to 1.000 | - |"


def test_an_iteration_without_scaffolds_has_a_head() -> None:
    assert standing_table(details(valid={}), {}, {}).startswith("scaffold")


def test_missing_runs_are_said_in_words() -> None:
    assert remarks([THREE], "experiments/demo") == [
        "5 runs are missing of scaffolds 1, 2: their means are incomplete. "
        "Run what is missing: scaffoldry resume experiments/demo"
    ]
    one = details(valid={"7": part([1.0], planned=2)})
    assert remarks([one], "d")[0].startswith("1 run is missing of scaffold 7: its mean is incomplete.")
    many = details(valid={str(index): part([], planned=1) for index in range(200)})
    assert "of scaffolds 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 190 more:" in remarks([many], "d")[0]


def test_scorer_errors_are_loud() -> None:
    broken = details(valid={"0": part([0, 0, 1], ok=1, scorer_error=2)})
    assert remarks([broken], "d") == [
        "SCORER ERRORS: the scorer failed on 2 runs, counted as 0. Mend the scorer, "
        "then score the stored outputs again: scaffoldry score d"
    ]


def test_nothing_to_remark() -> None:
    assert remarks([details(valid={"0": part([1, 0])})], "d") == []


def summary(**fields: object) -> Summary:
    return Summary(**{"directory": "experiments/d", "experiment": "d", "complete": True, "seconds": 75.0, **fields})


def test_the_end_of_a_complete_run() -> None:
    job = Job(experiment="d", iteration=0, scaffold_id="1", run_type="valid_3")
    assert closing(summary(), job) == [
        "Complete after 1 min 15 s.",
        "",
        "Experiment: experiments/d",
        "  scaffoldry ls experiments/d              the scores",
        "  scaffoldry show experiments/d 1 valid_3  one run: input, answer, score",
        "  scaffoldry logs experiments/d 1 valid_3  its log",
        "  scaffoldry resume experiments/d          goes on with it; no finished run is repeated",
    ]


def test_the_end_of_an_interrupted_run_begins_with_how_to_go_on() -> None:
    found = closing(summary(complete=False, interrupted=True), None)
    assert found[0] == "Interrupted after 1 min 15 s. Every finished run is kept."
    assert found[3].startswith("  scaffoldry resume experiments/d ")


def test_quarantine_is_said_in_words() -> None:
    found = closing(summary(complete=False, quarantined=2, details=(THREE,)), None)
    assert found[0] == "Ended after 1 min 15 s, incomplete."
    assert found[1].startswith("5 runs are missing")
    assert found[2] == (
        "2 runs failed on our side at every attempt and were given up, "
        "which says nothing about the program; a resume tries again."
    )


def test_runs_that_were_done_more_than_once_are_told() -> None:
    def told(dropped: int) -> list[str]:
        return [line for line in closing(summary(dropped=dropped), None) if "dropped" in line]

    assert told(0) == []
    rest = (
        "done once more than needed, as after a lost connection or a stopped worker, and dropped: each run counts once."
    )
    assert told(1) == [f"1 run was {rest}"]
    assert told(1200) == [f"1,200 runs were {rest}"]
