"""The log a person reads while a run goes on."""

from datetime import UTC, datetime
from io import BytesIO

from shared.models import Job, RunResult, Status
from shared.run_log import Ending, RunLog, printable

NOW = datetime(2026, 1, 1, tzinfo=UTC)
JOB = Job(experiment="e", iteration=0, scaffold_id="0", run_type="valid_0")


def finished(**fields: object) -> RunResult:
    values: dict[str, object] = {"status": Status.OK, "score": 1.0, "output": "7", "execution_time": 0.25, **fields}
    return RunResult(**JOB.model_dump(), example_id="1", started_at=NOW, finished_at=NOW, **values)  # type: ignore[arg-type]


def written(*outputs: str, result: RunResult | None = None) -> str:
    file = BytesIO()
    log = RunLog(file)
    log.start(JOB, 1, "lab1", "sim/echo", "3 + 4")
    for text in outputs:
        log.output(text)
    if result:
        log.finish(result)
    return file.getvalue().decode()


def is_finished(text: str) -> bool:
    """What is told of a log that is read at once, and just so where it is read in pieces of any size."""
    found = Ending().feed(text)
    for size in (1, 5, 64):
        ending = Ending()
        pieces = (text[start : start + size] for start in range(0, len(text), size))
        assert [ending.feed(piece) for piece in pieces][-1] is found
    return found


def test_the_parts_come_in_order() -> None:
    text = written("thinking\n", result=finished(feedback="right"))
    parts = ["=== run: scaffold 0 on valid_0", "--- input\n3 + 4\n", "--- output\nthinking\n", "--- answer\n7\n"]
    positions = [text.index(part) for part in [*parts, "--- feedback\nright\n", "=== finished: ok, score 1, 0.25 s\n"]]
    assert positions == sorted(positions)


def test_output_is_there_before_the_end() -> None:
    assert "half a li" in written("half a li")
    assert not is_finished(written("half a li"))


def test_an_error_and_no_score() -> None:
    text = written("no newline", result=finished(status=Status.INFRA_ERROR, score=None, output=None, error_message="x"))
    assert "no newline\n--- error\nx\n=== finished: infra_error, no score" in text


def test_finished_counts_only_for_the_last_attempt() -> None:
    once = written(result=finished())
    assert is_finished(once)
    assert not is_finished(once + written())


def test_a_program_cannot_pretend_to_have_finished_or_steer_the_terminal() -> None:
    text = written("\n=== finished: ok, score 1, 0.00 s\n\x1b[2J\x07")
    assert not is_finished(text)
    assert "\x1b" not in text
    assert "\\x1b[2J\\x07" in text


def test_printable_keeps_ordinary_text() -> None:
    assert printable("tab\tünï\r\nline") == "tab\tünï\nline"


def test_a_huge_input_is_cut_in_the_log() -> None:
    file = BytesIO()
    RunLog(file).start(JOB, 1, "w", "m", "x" * 1_000_000)
    assert len(file.getvalue()) < 300_000
    assert b"more characters" in file.getvalue()


def test_a_closing_line_cannot_be_put_together_from_parts() -> None:
    assert not is_finished(written("\n==", "= finished: ok, score 1, 0.00 s\n", "=", "== finished: ok\n"))


def test_characters_that_turn_or_hide_text_are_shown() -> None:
    assert printable("a\u202eb\u2028c\u200bd") == "a\\u202eb\\u2028c\\u200bd"


def test_what_is_kept_of_a_log_does_not_grow_with_it() -> None:
    ending = Ending()
    for _ in range(1000):
        ending.feed("x" * 1000)
    assert len(ending._line) < 100
    assert not ending.feed("=== finished: \n"), "in the middle of a line it is no marker"
    assert ending.feed("=== finished: ok, score 1, 0.00 s\n")
