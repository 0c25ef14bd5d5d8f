"""A row's bound breaks for each thing that its line says and that was not done, or not seen."""

import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coordinator.selftest.faults.base import CONSUMING_SECONDS, Consuming, Fault, Stalls, look_for
from coordinator.selftest.faults.broker import Flushed, KilledRedis
from coordinator.selftest.faults.clock import MovedClock
from coordinator.selftest.faults.coordinators import KilledCoordinator, TwoCoordinators
from coordinator.selftest.faults.deliveries import Deliveries
from coordinator.selftest.faults.delivery import Poison, ShortVisibility, ThriceDelivered
from coordinator.selftest.faults.engines import HangingEngine, RestartedEngine
from coordinator.selftest.faults.evidence import Spans, at_work, engine_answers
from coordinator.selftest.faults.volume import DamagedResults
from coordinator.selftest.faults.workers import StoppedWorker
from coordinator.selftest.workload import Workload
from coordinator.selftest.world import EndedEarly
from shared.models import Status
from tests.unit.coordinator.selftest.conftest import ledger
from tests.unit.coordinator.selftest.test_evidence import logged, result, world

OURS, DONE = result(Status.INFRA_ERROR), result(output="4")
SMALL = Workload(jobs=4, long=2, seconds=10.0, timeout=20.0)


def made(kind: type[Fault], fields: dict[str, Any], changes: dict[str, Any]) -> Any:
    """A fault that has done what ``fields`` say, but for ``changes``."""
    fault = kind()
    fault.__dict__.update(fields | changes)
    return fault


# ------------------------------------------------------------------ row 3


def refused(tmp_path: Path, *runs: str) -> None:
    (tmp_path / "dropped").mkdir(exist_ok=True)
    for run in runs:
        (tmp_path / "dropped" / f"0.0.{run}.1-1.abc").touch()


@pytest.mark.parametrize(
    ("late", "attempts", "holds"),
    [
        ({"valid_0": 1, "valid_1": 1}, {"valid_0": 2, "valid_1": 2}, True),
        ({}, {}, False),
        ({"valid_0": 1, "valid_2": 1}, {"valid_0": 2, "valid_2": 2}, False),
        ({"valid_0": 1, "valid_1": 1}, {"valid_0": 2, "valid_1": 1}, False),
    ],
    ids=["refused", "none was late", "one was not refused", "one result stands that came late"],
)
def test_late_commits_must_be_seen_refused_and_their_successors_stand(
    tmp_path: Path, late: dict[str, int], attempts: dict[str, int], holds: bool
) -> None:
    refused(tmp_path, "valid_0", "valid_1")
    fault = made(StoppedWorker, {"_late": late}, {})
    assert fault.bound(world(tmp_path), ledger(attempts=attempts)).holds is holds


# ------------------------------------------------------------------ rows 4 and 5


@pytest.mark.parametrize(("seconds", "holds"), [([3.0, 20.0], True), ([], False), ([3.0, CONSUMING_SECONDS], False)])
def test_all_must_be_seen_consuming_after_each_kill_of_redis(tmp_path: Path, seconds: list[float], holds: bool) -> None:
    consuming = Consuming(world(tmp_path))
    consuming.seconds = seconds
    assert made(KilledRedis, {"_consuming": consuming}, {}).bound(world(tmp_path), ledger()).holds is holds


def test_something_must_have_waited_and_be_started_once_redis_has_forgotten_it(tmp_path: Path) -> None:
    there = world(tmp_path, watch=SimpleNamespace(longest_pause=lambda since, until: 14.0))
    stalls = Stalls(there)
    stalls.note(["valid_0", "valid_1"])
    fault = made(Flushed, {"_stalls": stalls, "_missing": ["valid_0", "valid_1"], "_since": 0.0}, {})
    logged(tmp_path, DONE, run="valid_0")
    assert not fault.bound(there, ledger()).holds, "the other was not started"
    logged(tmp_path, DONE, run="valid_1")
    bound = fault.bound(there, ledger())
    assert bound.holds
    assert bound.figure.startswith("2 messages lost: 2 stalled, enqueued again within 0 s")
    nothing = made(Flushed, {"_stalls": Stalls(there), "_missing": [], "_since": 0.0}, {})
    assert not nothing.bound(there, ledger()).holds, "nothing was missing"


# ------------------------------------------------------------------ rows 8 and 9


def test_an_experiment_that_was_never_whole_is_looked_at_for_torn_files(tmp_path: Path) -> None:
    half = tmp_path / "selftest_20260101" / "plans"
    half.mkdir(parents=True)
    (half / "0.json").write_text('{"schema_')
    fault = made(KilledCoordinator, {"_torn": set(), "_kills": 5, "_inside": 3, "_scoring": 1, "_wanted": 5}, {})
    assert fault.bound(world(tmp_path), ledger()).holds
    fault._look(world(tmp_path, data_dir=tmp_path, name="selftest", known_experiment=lambda: None))
    assert fault._torn == {"selftest_20260101/plans/0.json"}
    assert not fault.bound(world(tmp_path), ledger()).holds


@pytest.mark.parametrize(("tried", "refusals", "holds"), [(2, 2, True), (2, 1, False), (0, 0, False)])
def test_each_second_coordinator_must_be_refused(tmp_path: Path, tried: int, refusals: int, holds: bool) -> None:
    fault = made(TwoCoordinators, {"_tried": tried, "_refused": refusals}, {})
    assert fault.bound(world(tmp_path), ledger()).holds is holds


# ------------------------------------------------------------------ rows 10 to 12


def delivered(tmp_path: Path, *times: int) -> Deliveries:
    told = Deliveries(world(tmp_path))
    told.counts = Counter({f"e.it000.0.valid_{index}": count for index, count in enumerate(times)})
    return told


@pytest.mark.parametrize(
    ("times", "dropped", "runs", "holds"),
    [
        ((3, 3, 3, 4), ["valid_1"], 4, True),
        ((9, 9, 9, 2), ["valid_1"], 4, False),
        ((3, 3, 3, 3), [], 4, False),
        ((3, 3, 3, 3), ["valid_1"], 3, False),
    ],
    ids=["all", "one was delivered twice", "none was done twice", "one is not committed"],
)
def test_each_job_must_be_delivered_three_times_and_some_be_dropped(
    tmp_path: Path, times: tuple[int, ...], dropped: list[str], runs: int, holds: bool
) -> None:
    refused(tmp_path, *dropped)
    logged(tmp_path, DONE, DONE, run="valid_1")
    bound = made(ThriceDelivered, {"_deliveries": delivered(tmp_path, *times)}, {}).bound(
        world(tmp_path, workload=SMALL), ledger(runs)
    )
    assert bound.holds is holds
    assert f"{sum(times)} in all: 2 started, {len(dropped)} of them dropped" in bound.figure


@pytest.mark.parametrize(
    ("times", "runs", "holds"),
    [((2, 1, 2, 1), 4, True), ((5, 5, 1, 5), 4, False), ((2, 1, 2, 1), 3, False)],
    ids=["both long ones", "one long one came once", "one is not committed"],
)
def test_each_run_that_outlasts_the_timeout_must_be_delivered_again(
    tmp_path: Path, times: tuple[int, ...], runs: int, holds: bool
) -> None:
    fault = made(ShortVisibility, {"_deliveries": delivered(tmp_path, *times)}, {})
    assert fault.bound(world(tmp_path, workload=SMALL), ledger(runs)).holds is holds
    assert not fault.bound(world(tmp_path, workload=SMALL.model_copy(update={"long": 0})), ledger()).holds


@pytest.mark.parametrize(
    ("changes", "quarantined", "holds"),
    [
        ({}, ("valid_0",), True),
        ({"_kills": 2}, ("valid_0",), False),
        ({"_kills": 4}, ("valid_0",), False),
        ({"_workers": 0}, ("valid_0",), False),
        ({}, (), False),
        ({}, ("valid_1",), False),
    ],
)
def test_a_poison_job_must_kill_three_times_and_once_a_whole_worker(
    tmp_path: Path, changes: dict[str, Any], quarantined: tuple[str, ...], holds: bool
) -> None:
    found = ledger(quarantined=quarantined)
    found = found.model_copy(update={"results": {run: one for run, one in found.results.items() if run != "valid_0"}})
    fault = made(Poison, {"_poison": "valid_0", "_kills": 3, "_workers": 1}, changes)
    there = world(tmp_path, workload=SMALL)
    assert fault.bound(there, found).holds is holds
    assert not fault.bound(there, found.model_copy(update={"results": {}})).holds, "others are lost"


def test_a_poison_job_kills_a_whole_worker_first_and_then_the_pool_child(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr("coordinator.selftest.faults.delivery.kill_pid", lambda pid: done.append(f"kill {pid}") or True)
    worker = SimpleNamespace(end_by_force=lambda: done.append("worker"))
    there: Any = SimpleNamespace(workers=[worker], restart_worker=lambda index: done.append(f"restart {index}"))
    fault = made(Poison, {"_kills": 0, "_workers": 0}, {})
    for pid in (7, 8):
        fault._kill(there, 0, pid)
    assert done == ["worker", "restart 0", "kill 8"]
    assert (fault._kills, fault._workers) == (2, 1)


# ------------------------------------------------------------------ rows 14 and 16


@pytest.mark.parametrize(
    ("hit", "holds"),
    [
        ([{("valid_0", 1)}, {("valid_1", 1)}, {("valid_2", 1)}], True),
        ([{("valid_0", 1)}, {("valid_1", 1)}], False),
        ([{("valid_0", 1)}, set(), {("valid_2", 1)}], False),
        ([{("valid_0", 2)}, {("valid_1", 1)}, {("valid_2", 1)}], False),
    ],
    ids=["hit", "two restarts", "one with nothing in hand", "nothing lost"],
)
def test_each_restart_of_the_engine_must_hit_and_one_must_be_felt(
    tmp_path: Path, hit: list[set[tuple[str, int]]], holds: bool
) -> None:
    logged(tmp_path, OURS, DONE, run="valid_0")
    logged(tmp_path, DONE, run="valid_1")
    assert made(RestartedEngine, {"_hit": hit}, {}).bound(world(tmp_path), ledger()).holds is holds


@pytest.mark.parametrize(
    ("changes", "spans", "holds"),
    [
        ({}, {}, True),
        ({"_answered": [True, True, False]}, {}, False),
        ({"_answered": [True, False, True]}, {}, False),
        ({"_answered": [False, False, False]}, {}, False),
        ({"_held": {("valid_0", 2)}}, {}, False),
        ({}, {("valid_0", 1): (5.0, 56.0)}, False),
        ({}, {("valid_1", 1): (20.0, 71.0)}, False),
        ({}, {("valid_1", 1): (41.0, 99.0)}, True),
        ({}, {("valid_1", 1): (20.0, 69.0)}, True),
    ],
    ids=[
        "hung",
        "it answered",
        "it answered later on",
        "it never answered",
        "nothing lost",
        "one that was in hand took too long",
        "one that was taken meanwhile took too long",
        "one that was taken later took long",
        "each counts from its own start",
    ],
)
def test_a_hanging_engine_must_hang_and_be_felt_and_hold_nobody_up_for_long(
    tmp_path: Path, changes: dict[str, Any], spans: dict[tuple[str, int], tuple[float, float]], holds: bool
) -> None:
    logged(tmp_path, OURS, DONE, run="valid_0")
    there = world(tmp_path, workload=SMALL)
    seen = Spans(there)
    seen.seen = {("valid_0", 1): (5.0, 40.0), **spans}
    fields = {"_answered": [True, False, False], "_held": {("valid_0", 1)}, "_since": 10.0, "_until": 40.0}
    assert made(HangingEngine, fields | {"_spans": seen}, changes).bound(there, ledger()).holds is holds


def test_attempts_are_at_work_for_as_long_as_their_drafts_are_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = ["/v/e/attempts/0/0/valid_3.1-2.abc", "/v/e/logs/0/0/valid_3.log", "socket:[1]"]
    now = [100.0]
    monkeypatch.setattr("coordinator.selftest.faults.evidence.open_files", lambda pid: opened)
    monkeypatch.setattr("coordinator.selftest.faults.evidence.time.monotonic", lambda: now[0])
    there = world(tmp_path, workers=[SimpleNamespace(children=lambda: [7])])
    assert at_work(there) == {("valid_3", 2)}
    spans = Spans(there)
    for now[0] in (101.0, 103.0):
        spans.look()
    opened.clear()
    now[0] = 110.0
    spans.look()
    assert spans.during(102.0, 120.0) == {("valid_3", 2): 2.0}
    assert spans.during(104.0, 120.0) == {} == spans.during(90.0, 100.0)


def test_an_engine_that_hangs_takes_requests_and_does_not_answer(tmp_path: Path) -> None:
    there = world(tmp_path, wait_for=lambda condition, seconds: condition())
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "engine"))
        server.listen()
        assert not engine_answers(there, f"unix://{tmp_path}/engine", 1.0)

        def answer(condition: Callable[[], bool], seconds: float) -> bool:
            server.accept()  # of the one before
            served, _ = server.accept()
            served.sendall(b"HTTP/1.0 200 OK\r\n\r\nOK")
            served.close()
            return condition()

        there.wait_for = answer
        assert engine_answers(there, f"unix://{tmp_path}/engine", 1.0)


# ------------------------------------------------------------------ rows 18 and 19

MOVED = [(3600.2, 3590.0), (-3599.8, -3610.0)]


@pytest.mark.parametrize(
    ("seen", "again", "holds"),
    [
        (MOVED, False, True),
        ([(0.0, 3600.0), MOVED[1]], False, False),
        ([(3600.0, 0.0), MOVED[1]], False, False),
        ([MOVED[0], MOVED[0]], False, False),
        (MOVED, True, False),
    ],
    ids=["moved", "not Redis's", "not the workers'", "one way alone", "a lease was lost"],
)
def test_clocks_must_be_seen_moved_both_ways_and_nothing_be_started_anew(
    tmp_path: Path, seen: list[tuple[float, float]], again: bool, holds: bool
) -> None:
    logged(tmp_path, *[DONE] * (1 + again))
    assert made(MovedClock, {"_seen": seen}, {}).bound(world(tmp_path), ledger()).holds is holds


@pytest.mark.parametrize(
    ("changes", "runs", "holds"),
    [
        ({}, 4, True),
        ({"_found": ["valid_0"]}, 4, False),
        ({"_damaged": {"valid_0": 1, "valid_2": 1}}, 4, False),
        ({"_damaged": {"valid_0": 1, "valid_1": 2}}, 4, False),
        ({}, 1, False),
    ],
    ids=["both", "one was not found", "one was started once", "one was not started again", "one has no result"],
)
def test_damaged_results_must_be_found_and_their_runs_started_again(
    tmp_path: Path, changes: dict[str, Any], runs: int, holds: bool
) -> None:
    for run in ("valid_0", "valid_1"):
        logged(tmp_path, DONE, DONE, run=run)
    logged(tmp_path, DONE, run="valid_2")
    fields = {"_found": ["valid_0", "valid_1"], "_damaged": {"valid_0": 1, "valid_1": 1}}
    assert made(DamagedResults, fields, changes).bound(world(tmp_path), ledger(runs)).holds is holds


def test_nothing_is_looked_for_once_the_coordinator_has_ended(tmp_path: Path) -> None:
    ended = world(tmp_path, coordinator=SimpleNamespace(exit_code=0))
    assert look_for(ended, lambda: "found") == "found"
    with pytest.raises(EndedEarly, match=r"ended \(0\) before"):
        look_for(ended, lambda: None)
