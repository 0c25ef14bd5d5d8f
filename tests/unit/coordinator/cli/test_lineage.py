"""ls, show, diff, tree and report on an experiment that evolved its scaffolds."""

import json

import pytest

from coordinator.cli.tree import lineage
from coordinator.report.overview import Facts
from shared.file_manager import ExperimentFileManager


def test_ls(invoke, evolved: ExperimentFileManager) -> None:
    found = invoke("ls", evolved)
    assert found.stdout.splitlines() == [
        "scaffold  parent        n  valid mean  95% interval    test mean  failures  tokens  status",
        "--------  ------  -------  ----------  --------------  ---------  --------  ------  "
        "--------------------------------------------",
        "0-0       0            20       0.600  0.387 to 0.781      0.625  -             60  evaluated",
        "0         -            20       0.500  0.299 to 0.701          -  -             60  evaluated",
        "1         -            20       0.200  0.081 to 0.416          -  -             60  evaluated",
        "0-0-0     0-0     0 of 20           -  -                       -  -              0  given up",
        "0-1       0             -           -  -                       -  -              -  "
        "skipped: SyntaxError: \\x1b[31minvalid syntax",
        "",
        "scaffold   n   mean  difference  95% interval      P(best)  verdict",
        "--------  --  -----  ----------  ----------------  -------  -----------------------------",
        "0-0       20  0.600           -  -                    0.94  the winner",
        "0         20  0.500      -0.100  -0.250 to 0.000      0.06  not separable from the winner",
        "1         20  0.200      -0.400  -0.650 to -0.150     0.00  separable from the winner",
    ]
    assert found.stderr.splitlines()[:3] == [
        "The winner is scaffold 0-0: validation mean 0.600, 95% 0.387 to 0.781; "
        "the best of the leaders with probability 0.94.",
        "Scaffold 0 is not separable from the winner.",
        "On the test split scaffold 0-0 has 0.625 (95% 0.306 to 0.863, 8 runs), on validation 0.600: a gap of -0.025.",
    ]


def test_ls_as_json(invoke, evolved: ExperimentFileManager) -> None:
    rows = [json.loads(line) for line in invoke("ls", evolved, "--json").stdout.splitlines()]
    assert [(row["scaffold_id"], row["parent"], row["status"], row["mean"]) for row in rows] == [
        ("0-0", "0", "evaluated", 0.6),
        ("0", None, "evaluated", 0.5),
        ("1", None, "evaluated", 0.2),
        ("0-0-0", "0-0", "given up", None),
        ("0-1", "0", "skipped", None),
    ]
    assert rows[0]["winner"]["test_mean"] == 0.625 and rows[1]["winner"] is None
    assert rows[1]["leader"]["separable"] is False and rows[2]["leader"]["separable"] is True
    assert [(one["iteration"], one["split"], one["n"]) for one in rows[0]["scores"]] == [
        (1, "valid", 20),
        (1, "test", 8),
    ]
    assert rows[4]["reason"].startswith("Traceback")


def test_trials_are_no_runs_of_the_experiment(invoke, evolved: ExperimentFileManager) -> None:
    record = json.loads(invoke("ls", "--json").stdout)
    assert (record["planned"], record["done"], record["quarantined"]) == (88, 68, 20)


def test_show_says_how_a_scaffold_was_proposed(invoke, evolved: ExperimentFileManager) -> None:
    text = invoke("show", evolved, "0-0").stdout
    for line in (
        "scaffold 0-0: evaluated",
        "  parent_scaffold_id: 0",
        "  proposed by: llm, 2 attempts",
        "    attempt 0: sim/echo; 1 call, 0 tokens; failed its trial with scaffold_error: NameError: x",
        "    attempt 1: sim/echo; 1 call, 1,234 tokens, $0.5000; passed its trial",
        "  the winner so far",
        "  validation 0.600, test 0.625: a gap of -0.025",
    ):
        assert f"{line}\n" in text
    assert "preflight" not in text and "Write." not in text
    skipped = invoke("show", evolved, "0-1").stdout
    assert "scaffold 0-1: skipped\n" in skipped
    assert "    attempt 0: sim/echo; 1 call, 0 tokens; The answer has no code block.\n" in skipped
    assert "skipped: Traceback SyntaxError: \\x1b[31minvalid syntax\n" in skipped


def test_show_sets_a_scaffold_beside_the_winner(invoke, evolved: ExperimentFileManager) -> None:
    text = invoke("show", evolved, "0").stdout
    assert "to the winner -0.100 over 20 shared examples, 95% -0.250 to 0.000: not separable from the winner\n" in text
    assert "\nvalid_0 " in text, "the runs of the last iteration it was run in"
    record = json.loads(invoke("show", evolved, "0-0", "--json").stdout)
    assert [trial["status"] for trial in record["trials"]] == ["scaffold_error", "ok"]
    assert record["metadata"]["notes"]["attempts"][1]["prompt"] == "Write."
    assert record["winner"]["gap"] == pytest.approx(-0.025)


def test_show_a_run_of_the_iteration_that_had_it(invoke, evolved: ExperimentFileManager) -> None:
    assert "iteration 0\n" in invoke("show", evolved, "0", "valid_3").stdout
    trial = invoke("show", evolved, "0-0", "preflight_0").stdout
    assert "on preflight_0, iteration 1" in trial and "--- error\nNameError: x" in trial
    assert invoke("show", evolved, "0", "valid_3", "--iteration", "1").stdout.count("no result yet") == 1


def test_diff(invoke, evolved: ExperimentFileManager) -> None:
    assert invoke("diff", evolved, "0", "0-0").stdout.splitlines() == [
        "0: validation mean 0.500 over 20 runs of iteration 0",
        "0-0: validation mean 0.600 over 20 runs of iteration 1",
        "change: +0.100 over 20 shared examples, 95% 0.000 to 0.250: not separable",
        "",
        "--- 0/scaffold.py",
        "+++ 0-0/scaffold.py",
        "@@ -1,4 +1,4 @@",
        "-NAME = '0'",
        "+NAME = '0-0'",
        " ",
        " def process_input(text):",
        "     return '4'",
    ]
    assert (
        "change: +0.300 over 20 shared examples, 95% 0.100 to 0.550: separable"
        in invoke("diff", evolved, "1", "0").stdout
    )
    record = json.loads(invoke("diff", evolved, "1", "0", "--json").stdout)
    assert record["change"] == {
        "examples": 20,
        "difference": pytest.approx(0.3),
        "ci95": [pytest.approx(0.1), pytest.approx(0.55)],
        "separable": True,
    }


def test_diff_without_scores_or_difference(invoke, evolved: ExperimentFileManager) -> None:
    found = invoke("diff", evolved, "0", "0-1").stdout
    assert "0-1: no validation score\n" in found and "change" not in found and "+NAME = '0-1'" in found
    assert invoke("diff", evolved, "0", "0").stdout.endswith("\nThe code is the same.\n")
    assert json.loads(invoke("diff", evolved, "0", "0-1", "--json").stdout)["change"] is None


@pytest.mark.parametrize("ids", [("0", "9"), ("9", "0")])
def test_diff_with_a_scaffold_that_is_not_there(invoke, evolved: ExperimentFileManager, ids: tuple[str, str]) -> None:
    found = invoke("diff", evolved, *ids)
    assert (found.exit_code, found.stdout) == (2, "")
    assert "has no scaffold '9'" in found.stderr


def test_diff_makes_escape_sequences_visible(invoke, experiment: ExperimentFileManager) -> None:
    found = invoke("diff", experiment, "0", "1").stdout
    assert "-# direct \\x1b[31m" in found and "\x1b" not in found
    assert "2 shared examples, too few to tell the two apart" in found


def test_tree(invoke, evolved: ExperimentFileManager) -> None:
    assert invoke("tree", evolved).stdout.splitlines() == [
        "0  0.500 [0.299 to 0.701], n 20",
        "├── 0-0  0.600 [0.387 to 0.781], n 20  (the winner)",
        "│   └── 0-0-0  given up",
        "└── 0-1  skipped: SyntaxError: \\x1b[31minvalid syntax",
        "1  0.200 [0.081 to 0.416], n 20",
    ]
    rows = [json.loads(line) for line in invoke("tree", evolved, "--json").stdout.splitlines()]
    assert [(row["scaffold_id"], row["depth"]) for row in rows] == [
        ("0", 0),
        ("0-0", 1),
        ("0-0-0", 2),
        ("0-1", 1),
        ("1", 0),
    ]


def test_a_lineage_shows_everybody_once() -> None:
    parents = {"a": None, "b": "a", "c": "b", "lost": "gone", "d": "a"}
    found = list(lineage({id: Facts(parent=parent) for id, parent in parents.items()}))
    assert found == [("a", ""), ("b", "├── "), ("c", "│   └── "), ("d", "└── "), ("lost", "")]
    deep = {str(number): Facts(parent=str(number - 1) if number else None) for number in range(3000)}
    assert len(list(lineage(deep))) == 3000


def test_report(invoke, evolved: ExperimentFileManager) -> None:
    page = invoke("report", evolved).stdout
    assert "## Leaders\n\n| scaffold | n | mean | difference | 95% interval | P(best) | verdict |\n" in page
    assert "| 0 | 20 | 0.500 | -0.100 | -0.250 to 0.000 | 0.06 | not separable from the winner |" in page
    assert "- Scaffold 0 is not separable from the winner.\n" in page
    assert "on validation 0.600: a gap of -0.025." in page


def test_looking_writes_nothing(invoke, evolved: ExperimentFileManager) -> None:
    for arguments in (("ls", evolved), ("tree", evolved), ("diff", evolved, "0", "1"), ("show", evolved, "0")):
        assert invoke(*arguments).exit_code == 0
    with pytest.raises(FileNotFoundError):
        evolved.load_details(0)
