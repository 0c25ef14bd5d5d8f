"""A row passes only where what it is about has really happened."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coordinator.selftest.faults.base import RESTART_SECONDS, Stalls
from coordinator.selftest.faults.broker import ClosedConnections, FrozenRedis
from coordinator.selftest.faults.clock import is_about
from coordinator.selftest.faults.coordinators import KilledCoordinator, names_holder
from coordinator.selftest.faults.deliveries import Deliveries
from coordinator.selftest.faults.engines import KilledContainers
from coordinator.selftest.faults.evidence import refusal, refused_commits, tries
from coordinator.selftest.faults.volume import FullDisk, fill
from coordinator.selftest.workload import Workload
from shared.errors import Superseded
from shared.file_manager import ExperimentFileManager
from shared.models import Job, RunResult, Status
from shared.run_log import RunLog
from tests.unit.coordinator.selftest.conftest import ledger

NOW = datetime(2026, 1, 1, tzinfo=UTC)
JOB = Job(experiment="e", iteration=0, scaffold_id="0", run_type="valid_0")


def result(status: Status = Status.OK, **fields: Any) -> RunResult:
    score = 1.0 if status is Status.OK else None
    whole = {**JOB.model_dump(), "example_id": "0", "status": status, "score": score, "started_at": NOW}
    return RunResult.model_validate({**whole, "finished_at": NOW, **fields})


def logged(experiment: Path, *ends: RunResult | None, run: str = "valid_0") -> None:
    """A log with an attempt for each; None: one that never came to an end."""
    path = experiment / "logs" / "0" / "0" / f"{run}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        for number, end in enumerate(ends, 1):
            log = RunLog(file)
            log.start(JOB, number, "w", "m", "asked")
            log.output("=== attempt 7 on me\n=== finished: infra_error\n")
            if end is not None:
                log.finish(end)


def test_a_log_tells_how_each_attempt_ended(tmp_path: Path) -> None:
    logged(tmp_path, result(Status.INFRA_ERROR), None, result(output="4"))
    first, second, third = tries(tmp_path, "valid_0")
    assert [one.number for one in (first, second, third)] == [1, 2, 3]
    assert [one.is_infra_error for one in (first, second, third)] == [True, False, False]
    assert (second.ends, third.answered) == ((), True)
    assert tries(tmp_path, "valid_1") == []


def test_what_the_host_lost_is_ours_and_what_came_too_late_is_not(tmp_path: Path) -> None:
    for run, counted in (("valid_0", None), ("valid_1", result(output="4"))):
        logged(tmp_path, counted, run=run)
        with (tmp_path / "logs" / "0" / "0" / f"{run}.log").open("ab") as file:
            RunLog(file).abandon("Why.")
    assert [tries(tmp_path, run)[0].is_infra_error for run in ("valid_0", "valid_1")] == [True, False]


def test_a_refused_commit_leaves_a_mark(tmp_path: Path) -> None:
    files = ExperimentFileManager(tmp_path / "e")
    with files.begin_attempt(JOB, 1, 1) as draft:
        files.give_up(JOB, 1, 1)
        assert refused_commits(tmp_path / "e", "valid_0") == [], "nothing was tried yet"
        with pytest.raises(Superseded):
            draft.commit(result(output="4"))
    assert refused_commits(tmp_path / "e", "valid_0") == [(1, 1)]
    assert refused_commits(tmp_path / "e", "valid_00") == []


def test_a_folder_that_refuses_is_told_from_one_that_does_not(tmp_path: Path) -> None:
    assert refusal(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    assert refusal(tmp_path / "none") == "ENOENT"


def test_what_is_full_takes_no_more(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    fill(full)  # ends at once, and raises nothing


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("driven by process 41 of root on node-1 (since now)", True),
        ("driven by process 412 of root on node-1 (since now)", False),
        ("driven by process 41 of root on node-12 (since now)", False),
        ("driven by process 41 of root on node-1.example (since now)", False),
        ("driven by process 41 of root on node-1.", True),
        ("line 41 of node-1", False),
    ],
)
def test_the_holder_is_named_in_whole_words(said: str, named: bool) -> None:
    assert names_holder(said, "node-1", 41) is named


def world(tmp_path: Path, **parts: Any) -> Any:
    """As much of a world as bounds look at."""
    own = {"experiment": tmp_path, "workload": Workload(jobs=20), "on_tick": lambda call: None, "waiting": set}
    return SimpleNamespace(**{**own, "stack": SimpleNamespace(callback=lambda call: None), **parts})


def test_deliveries_are_counted_by_what_a_worker_notes(tmp_path: Path) -> None:
    told = Deliveries(world(tmp_path))
    for run in ("valid_0", "valid_0", "valid_1", "valid_1.attempt2"):
        told.note(f'HSET unacked tag [{{"body": "", "headers": {{"root_id": "r", "id": "e.it000.0.{run}"}}}}, "", ""]')
    told.note('LPUSH queue {"headers": {"id": "e.it000.0.valid_2"}}')
    assert told.of(("valid_0", "valid_1", "valid_2")) == [2, 1, 0]
    assert told.again == 1


def test_work_is_stalled_until_it_is_enqueued_and_must_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, waiting = [100.0], set[str]()
    monkeypatch.setattr("coordinator.selftest.faults.base.time.monotonic", lambda: now[0])
    stalls = Stalls(world(tmp_path, waiting=lambda: waiting))
    logged(tmp_path, None)
    stalls.note(["valid_0"])
    assert not stalls.bound().holds
    now[0] += RESTART_SECONDS - 11
    waiting.add("valid_0")
    stalls.look()
    assert not stalls.bound().holds, "it only waits"
    now[0] += 10
    logged(tmp_path, result())
    assert stalls.bound().holds
    assert stalls.bound().figure == "1 stalled, enqueued again within 34 s, restarted within 44 s"
    assert not stalls.bound(limit=43).holds


def killed(tmp_path: Path, *hits: tuple[str, int]) -> KilledContainers:
    fault = KilledContainers()
    fault._killed = list(hits)
    return fault


def test_a_killed_container_without_an_answer_is_an_infra_error_and_tried_again(tmp_path: Path) -> None:
    for run in ("valid_0", "valid_1"):
        logged(tmp_path, result(Status.INFRA_ERROR), result(output="4"), run=run)
    fault, found = killed(tmp_path, ("valid_0", 1), ("valid_1", 1)), ledger(attempts={"valid_0": 2, "valid_1": 2})
    assert fault.bound(world(tmp_path), found).holds
    assert fault.bound(world(tmp_path), found).figure == "2 killed, 2 unanswered: 2 infra_error, 2 retried"
    assert not killed(tmp_path, ("valid_0", 1)).bound(world(tmp_path), found).holds, "too few"
    logged(tmp_path, result(output="4"), run="valid_3")
    answered = killed(tmp_path, ("valid_0", 1), ("valid_3", 1))
    assert not answered.bound(world(tmp_path), found).holds, "one had answered, so that too few were hit"
    unknown = killed(tmp_path, ("valid_0", 1), ("valid_1", 1), ("valid_4", 1))
    assert not unknown.bound(world(tmp_path), found).holds, "what became of one is not known"
    assert not fault.bound(world(tmp_path), ledger(attempts={"valid_0": 2, "valid_1": 1})).holds
    logged(tmp_path, result(Status.SCAFFOLD_ERROR, score=0.0), run="valid_2")
    assert not killed(tmp_path, ("valid_0", 1), ("valid_2", 1)).bound(world(tmp_path), found).holds


def test_connections_must_have_been_closed_and_a_worker_made_deaf(tmp_path: Path) -> None:
    fault = ClosedConnections()
    heard: Any = SimpleNamespace(bound=lambda: SimpleNamespace(holds=True, figure="at most 3 s"))
    fault._consuming, fault._closed, fault._deaf = heard, [4, 3], True
    assert fault.bound(world(tmp_path), ledger()).holds
    fault._deaf = False
    assert not fault.bound(world(tmp_path), ledger()).holds
    fault._deaf, fault._closed = True, [4, 0]
    assert not fault.bound(world(tmp_path), ledger()).holds


def test_a_pool_child_that_ended_has_crashed(tmp_path: Path) -> None:
    fault = FrozenRedis()
    fault._hung, fault._before = True, {1, 2, 3}
    workers = [SimpleNamespace(pid=1, children=lambda: [2, 3])]
    assert fault.bound(world(tmp_path, workers=workers, deaths=[]), ledger()).holds
    workers = [SimpleNamespace(pid=1, children=lambda: [2, 4])]
    assert not fault.bound(world(tmp_path, workers=workers, deaths=[]), ledger()).holds


def test_coordinators_must_have_been_killed_while_they_wrote(tmp_path: Path) -> None:
    fault = KilledCoordinator()
    fault._torn, fault._wanted = set(), 5
    for kills, inside, scoring, holds in ((5, 3, 1, True), (4, 3, 1, False), (5, 2, 1, False), (5, 3, 0, False)):
        fault._kills, fault._inside, fault._scoring = kills, inside, scoring
        assert fault.bound(world(tmp_path), ledger()).holds is holds


def test_a_full_disk_must_have_been_full_and_felt(tmp_path: Path) -> None:
    fault = FullDisk()
    fault._torn, fault._since, fault._until, fault._refused = set(), 10.0, 40.0, [True, True]
    parts: dict[str, Any] = {"workers": [], "watch": SimpleNamespace(appeared={"valid_0": 41.0})}
    felt, unfelt = ledger(attempts={"valid_0": 2}), ledger()
    assert fault.bound(world(tmp_path, **parts), felt).holds
    assert not fault.bound(world(tmp_path, **parts), unfelt).holds
    parts["watch"] = SimpleNamespace(appeared={"valid_0": 39.0})
    assert not fault.bound(world(tmp_path, **parts), felt).holds, "it did not go on"
    parts["watch"] = SimpleNamespace(appeared={"valid_0": 41.0})
    fault._refused = [True, False]
    assert not fault.bound(world(tmp_path, **parts), felt).holds, "it took a file"


def test_a_clock_is_where_it_was_moved_or_it_is_not() -> None:
    assert is_about(3595.0, 3600)
    assert not is_about(0.0, 3600)
