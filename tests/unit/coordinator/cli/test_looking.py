"""ls, show, logs and report on an experiment made by hand."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from coordinator.cli.logs import GRACE_SECONDS, POLL_SECONDS, follow_log, visible
from shared.file_manager import ExperimentFileManager
from shared.models import Job, Status
from shared.settings import Settings
from tests.unit.coordinator.cli.conftest import result as result_of

OTHER = {"run_type": "valid_1"}


def test_ls_without_experiments(invoke) -> None:
    found = invoke("ls")
    assert (found.exit_code, found.stdout) == (0, "")
    assert found.stderr == "There are no experiments in experiments. Start one: scaffoldry run SPEC\n"


def test_ls_lists_the_experiments(invoke, experiment: ExperimentFileManager) -> None:
    found = invoke("ls")
    assert found.exit_code == 0
    head, _, row = found.stdout.splitlines()
    assert head.split() == ["directory", "created", "scaffolds", "runs", "state"]
    assert row.split("  ")[0] == str(experiment)
    assert row.endswith("2026-01-01 12:00          3  5 of 9  incomplete, 1 given up")
    experiment.cancel()
    record = json.loads(invoke("ls", "--json").stdout)
    assert (record["directory"], record["planned"], record["done"]) == (str(experiment), 9, 5)
    assert (record["quarantined"], record["state"]) == (1, "cancelled")


@pytest.mark.parametrize("how", ["option", "variable", "file"])
def test_the_data_directory_can_be_set(
    invoke, experiment: ExperimentFileManager, home: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Settings.model_config, "env_file", ".env")
    (home / "experiments").rename(home / "elsewhere")
    if how == "file":
        (home / ".env").write_text("SCAFFOLDRY_DATA_DIR=elsewhere\n")
    found = {
        "option": lambda: invoke("ls", "--data-dir", "elsewhere"),
        "variable": lambda: invoke("ls", SCAFFOLDRY_DATA_DIR="elsewhere"),
        "file": lambda: invoke("ls"),
    }[how]()
    assert f"elsewhere/{experiment.name}" in found.stdout


def test_ls_of_an_experiment(invoke, experiment: ExperimentFileManager) -> None:
    found = invoke("ls", experiment)
    assert found.exit_code == 0
    assert found.stdout.splitlines() == [
        "scaffold  name         n   mean  95% interval    failures   tokens  status",
        "--------  ------  ------  -----  --------------  ---------  ------  ---------------------",
        "0         direct       3  0.667  0.208 to 0.939  -               9  evaluated",
        "1         vote    2 of 3  0.500  0.095 to 0.905  1 crashed       6  evaluated, 1 given up",
        "2         tool    0 of 3      -  -               -               0  no score yet",
        "",
        "scaffold  name    n   mean  difference  95% interval  P(best)  verdict",
        "--------  ------  -  -----  ----------  ------------  -------  ----------------------------------------------",
        "0         direct  3  0.667           -  -                0.63  the winner",
        "1         vote    2  0.500       0.000  -                0.37  2 shared examples: too few to tell, incomplete",
    ]
    assert found.stderr.splitlines()[1:3] == [
        "Scaffold 1 has too few examples in common with the winner to be told from it.",
        "4 runs are missing of scaffolds 1, 2: their means are incomplete. "
        f"Run what is missing: scaffoldry resume {Path(str(experiment)).absolute()}",
    ]
    assert not (Path(str(experiment)) / "scoring").exists(), "looking writes nothing"


def test_ls_of_an_experiment_as_json(invoke, experiment: ExperimentFileManager) -> None:
    rows = [json.loads(line) for line in invoke("ls", experiment, "--json").stdout.splitlines()]
    assert [(row["scaffold_id"], row["name"], row["n"], row["mean"]) for row in rows] == [
        ("0", "direct", 3, pytest.approx(2 / 3)),
        ("1", "vote", 2, 0.5),
        ("2", "tool", 0, None),
    ]


def test_show_a_scaffold(invoke, experiment: ExperimentFileManager) -> None:
    found = invoke("show", experiment, "1")
    assert found.exit_code == 0
    assert "source: scaffolds/vote" in found.stdout
    assert "iteration 0, valid: mean 0.500, 95% 0.095 to 0.905, 2 of 3 runs (incomplete)" in found.stdout
    assert "valid_1  scaffold_error  0.000     2.00      1       3  ValueError: \\x1b]0;x\\x07" in found.stdout
    assert "given up, failed on our side: valid_2" in found.stdout
    assert found.stdout.endswith("# vote \\x1b[31m\ndef process_input(text):\n    return '4'\n")
    assert "\x1b" not in found.stdout


def test_show_a_scaffold_as_json(invoke, experiment: ExperimentFileManager) -> None:
    (line,) = invoke("show", experiment, "1", "--json").stdout.splitlines()
    record = json.loads(line)
    assert record["code"] == experiment.load_scaffold("1").code
    assert [run["run_type"] for run in record["runs"]] == ["valid_0", "valid_1"]
    assert (record["quarantined"], record["scores"][0]["mean"]) == (["valid_2"], 0.5)


def test_show_a_run(invoke, experiment: ExperimentFileManager) -> None:
    found = invoke("show", experiment, "1", "valid_0")
    assert found.exit_code == 0
    for text in ("status: ok", "score: 1.0", "input_tokens: 2", "--- input\n2+2", "--- field answer\n4"):
        assert text in found.stdout
    assert "--- output\n\\x1b[2J4\n" in found.stdout and "\x1b" not in found.stdout
    record = json.loads(invoke("show", experiment, "1", "valid_0", "--json").stdout)
    assert record["result"]["output"] == "\x1b[2J4"
    assert record["example"]["fields"] == {"answer": "4"}


def test_show_a_run_with_its_page_in_flower(
    invoke, experiment: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "flower" not in invoke("show", experiment, "1", "valid_0").stdout
    assert json.loads(invoke("show", experiment, "1", "valid_0", "--json").stdout)["flower"] is None
    monkeypatch.setenv("SCAFFOLDRY_FLOWER_URL", "http://lab1:5555/")
    page = f"http://lab1:5555/tasks?name=scaffoldry%20{experiment.name}.it000"
    assert f"  flower: {page}.1.valid_0\n" in invoke("show", experiment, "1", "valid_0").stdout
    assert json.loads(invoke("show", experiment, "1", "valid_0", "--json").stdout)["flower"] == f"{page}.1.valid_0"
    assert f"{page}.1.valid_2\n" in invoke("show", experiment, "1", "valid_2").stdout, "all its attempts"
    assert f"{page}.2.valid_0\n" in invoke("show", experiment, "2", "valid_0").stdout, "one that is still to come"


def test_show_runs_without_a_result(invoke, experiment: ExperimentFileManager) -> None:
    lost = invoke("show", experiment, "1", "valid_2").stdout
    assert "no result: failed on our side 3 times" in lost and "--- error\nthe engine went away" in lost
    assert "no result yet" in invoke("show", experiment, "2", "valid_0").stdout


def test_report(invoke, experiment: ExperimentFileManager) -> None:
    page = invoke("report", experiment).stdout
    assert page.startswith("# demo_20260101-120000\n\n- Task: Add.\n- Model: sim/echo\n- Scorer: exact\n")
    assert "| 0 | direct | 3 | 0.667 | 0.208 to 0.939 | - | 9 |" in page
    assert "## Notes\n\n- The winner is scaffold 0: " in page and "\n- 4 runs are missing" in page


def job_of(files: ExperimentFileManager, scaffold_id: str = "1") -> Job:
    return Job(experiment=files.name, iteration=0, scaffold_id=scaffold_id, run_type="valid_0")


def test_logs(invoke, experiment: ExperimentFileManager) -> None:
    job = job_of(experiment)
    missing = invoke("logs", experiment, "1", "valid_0")
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert missing.stderr.startswith("There is no log of valid_0: ")
    result = experiment.load_result(job)
    assert result is not None
    with experiment.open_log(0, "1", "valid_0") as log:
        log.start(job, 1, "host", "sim/echo", "2+2")
        log.output("=== finished: not yet \x1b[2J\n")
        log.finish(result)
    for options in ((), ("-f",), ("--follow", "--iteration", "0")):
        found = invoke("logs", experiment, "1", "valid_0", *options)
        assert found.exit_code == 0
        assert "\n=== run: scaffold 1 on valid_0" in found.stdout
        assert "\n === finished: not yet \\x1b[2J\n" in found.stdout
        assert found.stdout.endswith("=== finished: ok, score 1, 2.00 s\n")


def begin_log(files: ExperimentFileManager) -> None:
    """The log of a run that is under way: scaffold 2 on valid_0."""
    with files.open_log(0, "2", "valid_0") as log:
        log.start(job_of(files, "2"), 1, "host", "sim/echo", "2+2")


class Clock:
    """A clock that moves only where somebody sleeps; ``acts`` says what else happens in each sleep."""

    def __init__(self, *acts: Callable[[], object]) -> None:
        self.now = 0.0
        self.acts = list(acts)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.acts:
            self.acts.pop(0)()

    def follow(self, files: ExperimentFileManager) -> list[str]:
        return list(follow_log(files, 0, "2", "valid_0", self.sleep, self))


def test_following_waits_for_the_log_and_for_its_end(
    experiment: ExperimentFileManager, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(text: str | None = None) -> None:
        with experiment.open_log(0, "2", "valid_0") as log:
            if text is None:
                log.finish(result_of(job_of(experiment, "2")))
            else:
                log.output(text)

    steps = (lambda: None, lambda: begin_log(experiment), lambda: write("one\n"), lambda: write("two\n"), write)
    pieces = Clock(*steps).follow(experiment)
    assert pieces[1:3] == ["one\n", "two\n"] and len(pieces) == 4
    assert "".join(pieces) == experiment.read_log(0, "2", "valid_0")[0]
    assert capsys.readouterr().err == "valid_0 of scaffold 2 has not started; waiting for its log.\n"


def test_following_shows_a_second_attempt_too(experiment: ExperimentFileManager) -> None:
    job = job_of(experiment, "2")
    for attempt in (1, 2):
        with experiment.open_log(0, "2", "valid_0") as log:
            log.start(job, attempt, "host", "sim/echo", "2+2")
            log.finish(result_of(job))
    assert "attempt 2" in "".join(Clock().follow(experiment))


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        ("committed", "The run has ended."),
        ("quarantined", "The run failed on our side at every attempt and was given up."),
        ("cancelled", "The experiment was cancelled."),
    ],
)
def test_following_ends_where_the_worker_died_and_nobody_ends_the_log(
    experiment: ExperimentFileManager, capsys: pytest.CaptureFixture[str], event: str, sentence: str
) -> None:
    job = job_of(experiment, "2")
    happen = {
        "committed": lambda: experiment.commit_result(result_of(job)),
        "quarantined": lambda: experiment.quarantine(result_of(job, Status.INFRA_ERROR, None)),
        "cancelled": experiment.cancel,
    }[event]
    begin_log(experiment)
    clock = Clock(lambda: None, happen)
    assert "--- output" in "".join(clock.follow(experiment))
    assert clock.now == pytest.approx(2 * POLL_SECONDS)
    assert capsys.readouterr().err == f"{sentence}\n"


def test_following_ends_after_a_silence_longer_than_a_run(
    experiment: ExperimentFileManager, capsys: pytest.CaptureFixture[str]
) -> None:
    begin_log(experiment)
    clock = Clock()
    clock.follow(experiment)
    longest = experiment.load_metadata().spec.executor.timeout + GRACE_SECONDS
    assert longest < clock.now < longest + 1
    assert capsys.readouterr().err == f"Nothing was written for {longest:.0f} s, longer than a run may take.\n"


def test_a_run_that_has_not_started_is_waited_for_while_others_end(experiment: ExperimentFileManager) -> None:
    longest = experiment.load_metadata().spec.executor.timeout + GRACE_SECONDS
    clock = Clock(lambda: experiment.commit_result(result_of(job_of(experiment, "2").model_copy(update=OTHER))))
    clock.follow(experiment)
    assert 2 * longest < clock.now < 2 * longest + 1


def test_ctrl_c_ends_following_quietly(
    invoke, experiment: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    found = invoke("logs", experiment, "2", "valid_0", "-f")
    assert (found.exit_code, found.stdout) == (130, "")
    assert found.stderr == "valid_0 of scaffold 2 has not started; waiting for its log.\n"


def test_a_log_cannot_steer_the_terminal() -> None:
    assert visible("=== run: x\n\x1b[2Jhello\x07\n") == "=== run: x\n\\x1b[2Jhello\\x07\n"
