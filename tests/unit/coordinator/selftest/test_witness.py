"""What lies in an experiment is read as it is, by code that the product does not use."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coordinator.selftest.processes import until
from coordinator.selftest.watch import Watch
from coordinator.selftest.witness import is_sealed, read_ledger, run_of_path, starts, temporary_files, torn_files
from coordinator.selftest.world import run_of_message
from shared import atomic
from shared.file_manager import ExperimentFileManager
from shared.models import Job, RunResult, Status
from shared.records import seal

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def result(index: int, **fields: object) -> RunResult:
    job = Job(experiment="e", iteration=0, scaffold_id="0", run_type=f"valid_{index}")
    whole = {**job.model_dump(), "example_id": str(index), "status": Status.OK, "score": 1.0, "output": "4"}
    return RunResult.model_validate({**whole, "started_at": NOW, "finished_at": NOW, **fields})


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """Two results as the product commits them."""
    files = ExperimentFileManager(tmp_path / "e")
    for index in range(2):
        assert files.commit_result(result(index, attempt=index + 1))
    (tmp_path / "e" / "metadata.json").write_text("{}")
    return tmp_path / "e"


def committed(experiment: Path, index: int = 0) -> Path:
    return experiment / "results" / "0" / "0" / f"valid_{index}.json"


def test_results_are_told_without_times_and_places(experiment: Path) -> None:
    found = read_ledger(experiment)
    assert found.results["valid_1"] == {
        "example_id": "1",
        "status": "ok",
        "score": 1.0,
        "output": "4",
        "feedback": None,
    }
    assert found.attempts == {"valid_0": 1, "valid_1": 2}
    assert (found.torn, found.temporary, found.quarantined) == ((), (), ())


def test_the_products_seal_is_understood(experiment: Path) -> None:
    record = json.loads(committed(experiment).read_bytes())
    assert is_sealed(record)
    assert not is_sealed(record | {"score": 0.0})
    assert not is_sealed([record])


@pytest.mark.parametrize("damage", [b"", b"{", b'{"score": 1.0}', b"[]"])
def test_a_torn_file_is_named(experiment: Path, damage: bytes) -> None:
    committed(experiment, 1).write_bytes(damage)
    assert list(torn_files(experiment)) == ["results/0/0/valid_1.json"]


def test_what_was_set_aside_is_not_torn(experiment: Path) -> None:
    (experiment / "damaged").mkdir()
    (experiment / "damaged" / "valid_0.json").write_text("{")
    assert list(torn_files(experiment)) == []


def test_leftovers_are_named(experiment: Path) -> None:
    (experiment / "results" / f"{atomic.TEMPORARY}1-a").touch()
    draft = experiment / "attempts" / "0" / "0" / "valid_3.1-1.ab"
    draft.parent.mkdir(parents=True)
    draft.touch()
    assert list(temporary_files(experiment)) == ["attempts/0/0/valid_3.1-1.ab", "results/.tmp-1-a"]


def test_details_are_counted(experiment: Path) -> None:
    (experiment / "scoring").mkdir()
    details = {"splits": {"valid": {"0": {"statuses": {"ok": 3, "timeout": 2}}}}}
    (experiment / "scoring" / "scores_0.json").write_text(json.dumps({"train": {}, "valid": {"0": 0.6}}))
    (experiment / "scoring" / "details_0.json").write_text(json.dumps(details))
    found = read_ledger(experiment)
    assert found.counted == 5
    assert set(found.scoring) == {"details_0.json", "scores_0.json"}
    assert (found.tally, found.mean) == ({"statuses": {"ok": 3, "timeout": 2}}, 0.6)


@pytest.mark.parametrize(
    ("path", "run"),
    [
        ("/v/e/logs/0/0/valid_12.log", "valid_12"),
        ("/v/e/attempts/0/0/valid_3.1-2.abc", "valid_3"),
        ("/v/e/plans/0.json", None),
        ("/elsewhere/valid_1.log", None),
    ],
)
def test_an_open_file_tells_the_run(path: str, run: str | None) -> None:
    assert run_of_path(path, Path("/v")) == run


def test_a_message_tells_its_run() -> None:
    job = Job(experiment="e", iteration=0, scaffold_id="0", run_type="valid_7")
    message = json.dumps({"headers": {"id": job.attempt_id(2, 3)}}).encode()
    assert run_of_message(message) == "valid_7"
    assert run_of_message(b"{}") is None
    assert run_of_message(b"no JSON") is None


def test_starts_are_read_from_the_log(tmp_path: Path) -> None:
    files = ExperimentFileManager(tmp_path / "e")
    job = Job(experiment="e", iteration=0, scaffold_id="0", run_type="valid_0")
    for attempt, worker in ((1, "a"), (2, "b")):
        with files.open_log(0, "0", "valid_0") as log:
            log.start(job, attempt, worker, "sim/echo", "=== attempt 9 on nobody, in the input")
    assert starts(tmp_path / "e", "valid_0") == [(1, "a"), (2, "b")]
    assert starts(tmp_path / "e", "valid_1") == []


def test_a_committed_result_that_changes_is_noticed(experiment: Path) -> None:
    watch = Watch(experiment.parent)
    watch.look()
    watch.look()
    assert watch.changed == set()
    atomic.write_file(committed(experiment), b"another")
    committed(experiment, 1).unlink()
    watch.look()
    assert watch.changed == {"valid_0", "valid_1"}


def test_a_result_that_is_replaced_soon_after_it_came_is_noticed(experiment: Path) -> None:
    watch = Watch(experiment.parent)
    watch.start()
    try:
        assert until(lambda: {"valid_0", "valid_1"} <= set(watch.appeared), 20)
        assert ExperimentFileManager(experiment).commit_result(result(2))
        assert until(lambda: "valid_2" in watch.appeared, 20)
        atomic.write_file(committed(experiment, 2), b"another")
        assert until(lambda: "valid_2" in watch.changed, 20)
    finally:
        watch.end()


def test_a_result_that_was_damaged_on_purpose_may_be_replaced_once(experiment: Path) -> None:
    watch = Watch(experiment.parent)
    watch.look()
    watch.forgive("valid_0")
    for data in (b"damaged", b"{}", seal(result(0, attempt=2))):
        atomic.write_file(committed(experiment), data)
        watch.look()
    assert watch.changed == set()
    atomic.write_file(committed(experiment), seal(result(0, attempt=3)))
    watch.look()
    assert watch.changed == {"valid_0"}


def test_the_longest_pause(experiment: Path) -> None:
    watch = Watch(experiment.parent)
    watch.appeared = {"a": 1.0, "b": 2.0, "c": 9.0, "d": 30.0}
    assert watch.longest_pause(0.0, 12.0) == 7.0
