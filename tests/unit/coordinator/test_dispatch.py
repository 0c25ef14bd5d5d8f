"""Dispatch over a queue that does as the test says."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from coordinator.dispatch import MOST_ATTEMPTS, RETRY_DELAYS, SMALLEST_WINDOW, TROUBLE_MOST, Dispatch, trouble_delay
from coordinator.job_queue import JobQueue
from coordinator.lost import ABSENT_LOOKS, LOOK_SECONDS, UNBEGUN_MOST
from coordinator.report.base import Reporter, Summary
from shared.drafts import Draft
from shared.errors import Cancelled, OutOfBudget, Superseded
from shared.file_manager import ExperimentFileManager
from shared.leases import LEASE_SECONDS, Sighting
from shared.models import Example, Job, Plan, Receipt, RunResult, Status

OK = Receipt(status=Status.OK, score=1.0, worker="w", slots=2)
INFRA = Receipt(status=Status.INFRA_ERROR, worker="w", error_message="docker went away")

Answer = Callable[[Job, int], list[Receipt]]


class ScriptedQueue(JobQueue):
    """Answers each attempt with the receipts that the test's function gives, a few at a time."""

    slots = 0

    def __init__(self, answer: Answer, said: str | None = None) -> None:
        self.answer = answer
        self.said = said
        self.sent: list[tuple[str, str, int]] = []
        self.waiting: list[tuple[Job, int]] = []
        self.most_waiting = 0

    def send(self, job: Job, attempt: int) -> None:
        self.sent.append((job.scaffold_id, job.run_type, attempt))
        self.waiting.append((job, attempt))
        self.most_waiting = max(self.most_waiting, len(self.waiting))

    def receive(self, timeout: float) -> list[tuple[Job, int, Receipt]]:
        taken, self.waiting = self.waiting[:3], self.waiting[3:]
        return [(job, attempt, receipt) for job, attempt in taken for receipt in self.answer(job, attempt)]

    def complaint(self) -> str | None:
        return self.said


class Recorder(Reporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.jobs: list[int] = []

    def iteration_started(self, plan: Plan) -> None:
        self.events.append(("started", str(len(plan))))

    def run_restored(self, result: RunResult) -> None:
        self.events.append(("restored", result.run_type))

    def run_finished(self, job: Job, receipt: Receipt) -> None:
        self.events.append(("finished", job.run_type))

    def run_retried(self, job: Job, receipt: Receipt) -> None:
        self.events.append(("retried", job.run_type))

    def run_quarantined(self, job: Job, receipt: Receipt) -> None:
        self.events.append(("quarantined", job.run_type))

    def outstanding(self, jobs: int) -> None:
        self.jobs.append(jobs)

    def runs_dropped(self, runs: int) -> None:
        self.events.append(("dropped", str(runs)))

    def say(self, message: str) -> None:
        self.events.append(("said", message))

    def tick(self) -> None:
        return None

    def finished(self, summary: Summary) -> None:
        self.events.append(("ended", ""))

    def count(self, kind: str) -> int:
        return sum(1 for event, _ in self.events if event == kind)


@pytest.fixture
def files(tmp_path: Path) -> ExperimentFileManager:
    return ExperimentFileManager(tmp_path / "exp")


def plan(runs: int = 5, scaffolds: tuple[str, ...] = ("0", "1")) -> Plan:
    examples = {f"valid_{n}": Example(id=str(n), input="x") for n in range(runs)}
    return Plan(experiment="exp", iteration=0, assigned={"valid": scaffolds}, runs=examples)


def dispatch(
    files: ExperimentFileManager,
    queue: ScriptedQueue,
    of: Plan,
    clock: Callable[[], float] = lambda: 0.0,
    begun: Callable[[Job, int], bool] = lambda job, attempt: True,
    recorder: Recorder | None = None,
) -> Recorder:
    recorder = recorder or Recorder()
    Dispatch(
        files=files,
        plan=of,
        queue=queue,
        reporter=recorder,
        stall_after=60,
        on_complaint=recorder.say,
        clock=clock,
        retry_delays=(0, 0),
        begun=begun,
    ).run(of.jobs())
    return recorder


def dispatch_bounded(
    files: ExperimentFileManager,
    queue: ScriptedQueue,
    of: Plan,
    no_more: Callable[[], str | None] = lambda: None,
    retry_delays: tuple[float, ...] = (0, 0),
    clock: Callable[[], float] = lambda: 0.0,
) -> Recorder:
    """Dispatch that is expected to end early, out of budget with the reason ``spent``."""
    recorder = Recorder()
    with pytest.raises(OutOfBudget, match=r"^spent$"):
        Dispatch(
            files=files,
            plan=of,
            queue=queue,
            reporter=recorder,
            stall_after=60,
            on_complaint=recorder.say,
            clock=clock,
            retry_delays=retry_delays,
            no_more=no_more,
        ).run(of.jobs())
    return recorder


def ticking(step: float) -> Callable[[], float]:
    times: Iterator[float] = (n * step for n in range(10**9))
    return lambda: next(times)


def test_every_job_is_sent_once(files: ExperimentFileManager) -> None:
    queue = ScriptedQueue(lambda job, attempt: [OK])
    assert dispatch(files, queue, plan()).count("finished") == 10
    assert len(queue.sent) == len(set(queue.sent)) == 10


def test_only_a_window_of_jobs_is_on_the_queue(files: ExperimentFileManager) -> None:
    queue = ScriptedQueue(lambda job, attempt: [OK])
    dispatch(files, queue, plan(runs=500))
    assert queue.most_waiting == SMALLEST_WINDOW


def test_the_jobs_on_the_queue_are_told_down_to_the_last(files: ExperimentFileManager) -> None:
    assert dispatch(files, ScriptedQueue(lambda job, attempt: [OK]), plan()).jobs == [5, 4, 1, 0]


def test_the_window_is_four_jobs_for_each_slot_that_is_known(files: ExperimentFileManager) -> None:
    queue = ScriptedQueue(lambda job, attempt: [OK])
    queue.slots = 50
    dispatch(files, queue, plan(runs=500))
    assert queue.most_waiting == 200


def test_a_failure_of_ours_is_tried_three_times_and_then_quarantined(files: ExperimentFileManager) -> None:
    queue = ScriptedQueue(lambda job, attempt: [INFRA if job.run_type == "valid_1" else OK])
    recorder = dispatch(files, queue, plan(scaffolds=("0",)))
    assert [sent for sent in queue.sent if sent[1] == "valid_1"] == [("0", "valid_1", n) for n in (1, 2, 3)]
    assert (recorder.count("retried"), recorder.count("quarantined"), recorder.count("finished")) == (2, 1, 4)
    kept = files.load_quarantined(Job(experiment="exp", iteration=0, scaffold_id="0", run_type="valid_1"))
    assert kept is not None
    assert (kept.score, kept.error_message, kept.attempt) == (None, "docker went away", 3)


def test_what_a_hosts_trouble_takes_is_none_of_the_three(files: ExperimentFileManager) -> None:
    lost = INFRA.model_copy(update={"host_trouble": True})
    queue = ScriptedQueue(lambda job, attempt: [lost if attempt % 2 else INFRA])
    recorder = dispatch(files, queue, plan(runs=1, scaffolds=("0",)))
    assert [attempt for _, _, attempt in queue.sent] == [1, 2, 3, 4, 5, 6]
    assert (recorder.count("retried"), recorder.count("quarantined")) == (5, 1)


def test_a_job_whose_hosts_are_always_in_trouble_comes_to_an_end(files: ExperimentFileManager) -> None:
    lost = INFRA.model_copy(update={"host_trouble": True})
    queue = ScriptedQueue(lambda job, attempt: [lost])
    recorder = dispatch(files, queue, plan(runs=1, scaffolds=("0",)))
    assert (len(queue.sent), recorder.count("quarantined")) == (20, 1)


def test_a_second_attempt_that_succeeds_leaves_nothing_in_quarantine(files: ExperimentFileManager) -> None:
    queue = ScriptedQueue(lambda job, attempt: [INFRA if attempt == 1 else OK])
    recorder = dispatch(files, queue, plan())
    assert (recorder.count("finished"), recorder.count("quarantined")) == (10, 0)
    assert files.quarantined_run_types(0, "0") == []


def test_a_receipt_that_comes_twice_counts_once(files: ExperimentFileManager) -> None:
    recorder = dispatch(files, ScriptedQueue(lambda job, attempt: [OK, OK, INFRA]), plan())
    assert (recorder.count("finished"), recorder.count("retried")) == (10, 0)


def test_a_lost_receipt_is_found_on_the_volume_or_the_job_sent_again(files: ExperimentFileManager) -> None:
    lost: list[str] = []

    def answer(job: Job, attempt: int) -> list[Receipt]:
        if job.run_type in ("valid_1", "valid_2") and job.run_type not in lost:
            lost.append(job.run_type)
            if job.run_type == "valid_1":
                files.commit_result(committed(job))
            return []
        return [OK]

    queue = ScriptedQueue(answer)
    recorder = dispatch(files, queue, plan(scaffolds=("0",)), clock=ticking(5))
    assert recorder.count("finished") == 5
    assert queue.sent.count(("0", "valid_1", 1)) == 1
    assert [sent for sent in queue.sent if sent[1] == "valid_2"] == [("0", "valid_2", 1), ("0", "valid_2", 2)]


def test_silence_is_explained_and_waited_out(files: ExperimentFileManager) -> None:
    """While no worker listens no job is given up; when one comes, what was lost meanwhile is sent again."""
    answers = iter([[]] * 3)
    queue = ScriptedQueue(lambda job, attempt: next(answers, [OK]), said="No worker is listening.")
    recorder = Recorder()
    told: list[str] = []

    def tell(message: str) -> None:
        told.append(message)
        if len(told) == 20:
            queue.said = None

    of = plan(runs=3, scaffolds=("0",))
    Dispatch(
        files=files,
        plan=of,
        queue=queue,
        reporter=recorder,
        stall_after=60,
        on_complaint=tell,
        clock=ticking(5),
        retry_delays=(0, 0),
    ).run(of.jobs())
    assert told == ["No worker is listening."] * 20
    assert (recorder.count("finished"), recorder.count("quarantined")) == (3, 0)
    assert {attempt for _, _, attempt in queue.sent} == {1, 2}


def test_that_no_worker_listens_is_said_after_each_ten_seconds_and_not_before(files: ExperimentFileManager) -> None:
    told: list[float] = []
    times = [9.9, 10.0, 10.125, 15.0, 20.125, 20.25, 21.0]

    class Unheard(ScriptedQueue):
        now = 0.0

        def receive(self, timeout: float) -> list[tuple[Job, int, Receipt]]:
            self.now = times.pop(0) if times else self.now
            return [] if times else super().receive(timeout)

    queue = Unheard(lambda job, attempt: [OK], said="No worker is listening.")
    recorder, of = Recorder(), plan(runs=1, scaffolds=("0",))
    Dispatch(
        files=files,
        plan=of,
        queue=queue,
        reporter=recorder,
        stall_after=60,
        on_complaint=lambda message: told.append(queue.now),
        clock=lambda: queue.now,
    ).run(of.jobs())
    assert told == [10.125, 20.25]
    assert recorder.count("finished") == 1


def test_a_cancelled_experiment_stops(files: ExperimentFileManager) -> None:
    gone = INFRA.model_copy(update={"cancelled": True})
    with pytest.raises(Cancelled):
        dispatch(files, ScriptedQueue(lambda job, attempt: [gone]), plan())
    assert files.quarantined_run_types(0, "0") == []


def committed(job: Job) -> RunResult:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return RunResult(
        **job.model_dump(), example_id="1", status=Status.OK, score=1.0, started_at=now, finished_at=now, worker="w"
    )


def test_a_job_that_nothing_is_heard_of_is_quarantined_in_the_end(files: ExperimentFileManager) -> None:
    queue = ScriptedQueue(lambda job, attempt: [] if job.run_type == "valid_1" else [OK])
    recorder = dispatch(files, queue, plan(scaffolds=("0",)), clock=ticking(5))
    assert (recorder.count("finished"), recorder.count("quarantined")) == (4, 1)
    assert [sent for sent in queue.sent if sent[1] == "valid_1"] == [("0", "valid_1", n) for n in (1, 2, 3)]


def test_a_failure_beside_a_commit_does_not_count(files: ExperimentFileManager) -> None:
    def answer(job: Job, attempt: int) -> list[Receipt]:
        files.commit_result(committed(job))
        return [INFRA]

    recorder = dispatch(files, ScriptedQueue(answer), plan())
    assert (recorder.count("finished"), recorder.count("retried")) == (10, 0)


def test_after_an_outage_what_was_committed_meanwhile_counts_at_once(files: ExperimentFileManager) -> None:
    """Its receipt is lost for good, and nothing else may be taken for lost, nor sent again."""

    class Cut(ScriptedQueue):
        def interrupted(self) -> bool:
            return not self.waiting

    def answer(job: Job, attempt: int) -> list[Receipt]:
        if job.run_type == "valid_1":
            files.commit_result(committed(job))
            return []
        return [INFRA if attempt == 1 and job.run_type == "valid_2" else OK]

    queue = Cut(answer)
    recorder = dispatch(files, queue, plan(scaffolds=("0",)))
    assert (recorder.count("finished"), recorder.count("retried"), recorder.count("quarantined")) == (5, 1, 0)
    assert [sent for sent in queue.sent if sent[2] > 1] == [("0", "valid_2", 2)]


def test_a_retry_waits_for_its_time(files: ExperimentFileManager) -> None:
    queue = ScriptedQueue(lambda job, attempt: [INFRA if attempt == 1 else OK])
    times: list[float] = []
    clock = ticking(0.1)
    recorder = Recorder()

    def now() -> float:
        times.append(clock())
        return times[-1]

    of = plan(runs=1, scaffolds=("0",))
    Dispatch(
        files=files, plan=of, queue=queue, reporter=recorder, stall_after=60, on_complaint=recorder.say, clock=now
    ).run(of.jobs())
    assert recorder.count("finished") == 1
    assert times[-1] > 2


def test_a_host_in_trouble_is_given_longer_each_time() -> None:
    delays = [trouble_delay(attempt, RETRY_DELAYS) for attempt in range(1, MOST_ATTEMPTS)]
    assert delays == sorted(delays) and (delays[0], delays[-1]) == (RETRY_DELAYS[0], TROUBLE_MOST)
    assert sum(delays) > 10 * 60, "a host may boot in that time"


def test_the_next_attempt_waits_for_the_host(files: ExperimentFileManager) -> None:
    clock = [0.0]

    class Slow(ScriptedQueue):
        def receive(self, timeout: float) -> list[tuple[Job, int, Receipt]]:
            clock[0] += 1.0
            return super().receive(timeout)

    trouble = INFRA.model_copy(update={"host_trouble": True})
    queue = Slow(lambda job, attempt: [trouble if attempt < 8 else OK])
    recorder = Recorder()
    Dispatch(
        files=files,
        plan=plan(runs=1, scaffolds=("0",)),
        queue=queue,
        reporter=recorder,
        stall_after=600,
        on_complaint=recorder.say,
        clock=lambda: clock[0],
    ).run(plan(runs=1, scaffolds=("0",)).jobs())
    assert recorder.count("finished") == 1
    assert sum(trouble_delay(attempt, RETRY_DELAYS) for attempt in range(1, 8)) <= clock[0] < 100


REFUSED = INFRA.model_copy(update={"out_of_budget": True, "error_message": "spent"})


class TestOutOfBudget:
    """Nothing more is started; what is under way ends."""

    def test_a_receipt_that_says_so_ends_the_sending(self, files: ExperimentFileManager) -> None:
        queue = ScriptedQueue(lambda job, attempt: [REFUSED if job.run_type == "valid_20" else OK])
        recorder = dispatch_bounded(files, queue, plan(runs=500, scaffolds=("0",)))
        assert len(queue.sent) == SMALLEST_WINDOW + 18, "what was sent before the refusal came back"
        assert recorder.count("finished") == len(queue.sent) - 1
        assert recorder.count("retried") == recorder.count("quarantined") == 0
        assert files.quarantined_run_types(0, "0") == []

    def test_a_budget_reached_beforehand_starts_nothing(self, files: ExperimentFileManager) -> None:
        queue = ScriptedQueue(lambda job, attempt: [OK])
        recorder = dispatch_bounded(files, queue, plan(), no_more=lambda: "spent")
        assert (queue.sent, recorder.events) == ([], [("dropped", "0")])

    def test_a_budget_reached_meanwhile_starts_nothing_more(self, files: ExperimentFileManager) -> None:
        queue = ScriptedQueue(lambda job, attempt: [OK])
        recorder = dispatch_bounded(
            files, queue, plan(runs=500), no_more=lambda: "spent" if len(queue.sent) == 70 else None
        )
        assert (len(queue.sent), recorder.count("finished")) == (70, 70)

    def test_a_budget_that_is_just_enough_is_no_early_end(self, files: ExperimentFileManager) -> None:
        recorder, of = Recorder(), plan()
        queue = ScriptedQueue(lambda job, attempt: [OK])
        Dispatch(
            files=files,
            plan=of,
            queue=queue,
            reporter=recorder,
            stall_after=60,
            on_complaint=recorder.say,
            no_more=lambda: "spent" if len(queue.sent) == 10 else None,
        ).run(of.jobs())
        assert recorder.count("finished") == 10

    def test_what_our_side_failed_is_left_as_it_is(self, files: ExperimentFileManager) -> None:
        """Neither tried again nor quarantined, whether it failed before the end or after."""
        answers = {"valid_0": INFRA, "valid_1": REFUSED, "valid_2": INFRA}
        queue = ScriptedQueue(lambda job, attempt: [answers.get(job.run_type, OK)])
        recorder = dispatch_bounded(files, queue, plan(scaffolds=("0",)), retry_delays=(1000.0, 1000.0))
        assert {attempt for _, _, attempt in queue.sent} == {1}
        assert (recorder.count("finished"), recorder.count("retried"), recorder.count("quarantined")) == (2, 1, 0)

    def test_a_retry_is_a_start_too(self, files: ExperimentFileManager) -> None:
        queue = ScriptedQueue(lambda job, attempt: [INFRA])
        answered = dispatch_bounded(
            files, queue, plan(runs=1, scaffolds=("0",)), no_more=lambda: "spent" if queue.sent else None
        )
        assert len(queue.sent) == answered.count("retried") == 1

    def test_what_was_committed_by_another_delivery_counts(self, files: ExperimentFileManager) -> None:
        def answer(job: Job, attempt: int) -> list[Receipt]:
            files.commit_result(committed(job))
            return [REFUSED]

        assert dispatch(files, ScriptedQueue(answer), plan()).count("finished") == 10

    def test_a_lost_receipt_keeps_nobody_waiting_for_ever(self, files: ExperimentFileManager) -> None:
        queue = ScriptedQueue(lambda job, attempt: {"valid_0": [], "valid_1": [REFUSED]}.get(job.run_type, [OK]))
        recorder = dispatch_bounded(files, queue, plan(scaffolds=("0",)), clock=ticking(5))
        assert (recorder.count("finished"), recorder.count("retried"), recorder.count("quarantined")) == (3, 0, 0)


class LosingQueue(ScriptedQueue):
    """Its worker takes each first attempt of ``valid_1`` down with it; those are unaccounted for from then on."""

    def __init__(self, clock: list[float], commits: Callable[[Job], object] = lambda job: None) -> None:
        super().__init__(lambda job, attempt: [] if (job.run_type, attempt) == ("valid_1", 1) else [OK])
        self.clock = clock
        self.commits = commits
        self.taken: set[tuple[Job, int]] = set()

    def receive(self, timeout: float) -> list[tuple[Job, int, Receipt]]:
        self.taken |= {(job, attempt) for job, attempt in self.waiting if (job.run_type, attempt) == ("valid_1", 1)}
        self.clock[0] += 1.0
        return super().receive(timeout)

    def sightings(self, attempts: Sequence[tuple[Job, int]]) -> Mapping[tuple[Job, int], Sighting]:
        for job, _ in self.taken & set(attempts):
            self.commits(job)
        return {attempt: Sighting(waiting=attempt not in self.taken) for attempt in attempts}


def test_what_went_down_with_its_worker_is_tried_again_after_some_looks(files: ExperimentFileManager) -> None:
    clock = [0.0]
    queue = LosingQueue(clock)
    recorder = dispatch(files, queue, plan(), clock=lambda: clock[0])
    assert [sent for sent in queue.sent if sent[2] == 2] == [("0", "valid_1", 2), ("1", "valid_1", 2)]
    assert recorder.count("retried") == 2 and recorder.count("finished") == 10
    looked = ABSENT_LOOKS * LOOK_SECONDS
    assert looked <= clock[0] < looked + LOOK_SECONDS + 5, "not at the first look, and not by the silence"


def test_what_was_committed_before_its_worker_was_lost_counts(files: ExperimentFileManager) -> None:
    clock = [0.0]
    recorder = dispatch(
        files, LosingQueue(clock, lambda job: bool(files.commit_result(committed(job)))), plan(), clock=lambda: clock[0]
    )
    assert recorder.count("retried") == 0 and recorder.count("finished") == 10


class AccountingQueue(ScriptedQueue):
    """Knows that what it has been sent waits; its workers are busy with other things for a long time."""

    accounts = True

    def __init__(self, clock: list[float], busy_until: float) -> None:
        super().__init__(lambda job, attempt: [OK])
        self.clock, self.busy_until = clock, busy_until

    def receive(self, timeout: float) -> list[tuple[Job, int, Receipt]]:
        self.clock[0] += 5.0
        return super().receive(timeout) if self.clock[0] > self.busy_until else []


def test_what_waits_behind_others_for_long_is_not_given_up(files: ExperimentFileManager) -> None:
    clock = [0.0]
    queue = AccountingQueue(clock, busy_until=100 * 60)  # a hundred times what silence is given elsewhere
    recorder = dispatch(files, queue, plan(), clock=lambda: clock[0])
    assert {attempt for _, _, attempt in queue.sent} == {1}
    assert recorder.count("finished") == 10 and recorder.count("quarantined") == 0


def test_no_directory_is_polled_to_learn_that_work_is_done(
    files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long receipts are waited for, they alone tell: until the last, nothing is listed and no result opened."""
    looks: list[tuple[str, object, int]] = []
    recorder = Recorder()

    def watch(owner: Any, name: str, place: int) -> None:
        original = getattr(owner, name)

        def watched(*arguments: Any) -> Any:
            looks.append((name, arguments[place:], recorder.count("finished")))
            return original(*arguments)

        monkeypatch.setattr(owner, name, watched)

    for name in ("listdir", "scandir"):
        watch(os, name, 0)
    for name in ("load_result", "is_committed", "committed_run_types"):
        watch(ExperimentFileManager, name, 1)
    clock = [0.0]
    dispatch(files, AccountingQueue(clock, busy_until=600), plan(runs=20), lambda: clock[0], recorder=recorder)
    assert recorder.count("finished") == 40
    assert [look for look in looks if look[2] < 40] == []
    # The watch was on: runs that were dropped are counted once, when there is nothing left to be waited for.
    assert {name for name, _, _ in looks} == {"listdir"}


class InterruptedQueue(LosingQueue):
    """Was away just before the second look."""

    def interrupted(self) -> bool:
        return self.clock[0] == 2 * LOOK_SECONDS - 1


def test_after_an_outage_leases_are_given_the_time_to_be_renewed(files: ExperimentFileManager) -> None:
    clock = [0.0]
    queue = InterruptedQueue(clock)
    dispatch(files, queue, plan(), clock=lambda: clock[0])
    assert clock[0] > LEASE_SECONDS + 2 * LOOK_SECONDS


def test_a_late_receipt_of_an_attempt_that_was_given_up_counts(files: ExperimentFileManager) -> None:
    def answer(job: Job, attempt: int) -> list[Receipt]:
        return [INFRA, OK] if (job.run_type, attempt) == ("valid_1", 1) else [OK]

    queue = ScriptedQueue(answer)
    recorder = dispatch(files, queue, plan())
    assert {attempt for _, _, attempt in queue.sent} == {1}
    assert recorder.count("retried") == 2 and recorder.count("finished") == 10


class FlushedQueue(ScriptedQueue):
    """Loses each of so many messages of ``valid_1``; of one that somebody had ``taken`` the lease stays as it is."""

    accounts = True

    def __init__(self, clock: list[float], times: int, taken: bool = False) -> None:
        super().__init__(lambda job, attempt: [OK] if job.run_type != "valid_1" or attempt > times else [])
        self.clock = clock
        self.taken = taken

    def receive(self, timeout: float) -> list[tuple[Job, int, Receipt]]:
        self.clock[0] += 1.0
        return super().receive(timeout)

    def sightings(self, attempts: Sequence[tuple[Job, int]]) -> Mapping[tuple[Job, int], Sighting]:
        return {attempt: Sighting(waiting=False, lease="w/1/0" if self.taken else None) for attempt in attempts}


def test_what_nobody_had_begun_costs_no_try(files: ExperimentFileManager) -> None:
    clock = [0.0]
    queue = FlushedQueue(clock, times=5)
    recorder = dispatch(files, queue, plan(scaffolds=("0",)), clock=lambda: clock[0], begun=lambda *_: False)
    assert [sent for sent in queue.sent if sent[1] == "valid_1"] == [("0", "valid_1", n) for n in range(1, 7)]
    assert (recorder.count("finished"), recorder.count("quarantined")) == (5, 0)


def test_what_no_worker_ever_gets_is_given_up_all_the_same(files: ExperimentFileManager) -> None:
    clock = [0.0]
    queue = FlushedQueue(clock, times=10**6)
    recorder = dispatch(files, queue, plan(scaffolds=("0",)), clock=lambda: clock[0], begun=lambda *_: False)
    assert len([sent for sent in queue.sent if sent[1] == "valid_1"]) == UNBEGUN_MOST + 3
    assert (recorder.count("finished"), recorder.count("quarantined")) == (4, 1)


@pytest.mark.parametrize("taken", [True, False])
def test_what_kills_its_workers_is_quarantined_at_the_third(files: ExperimentFileManager, taken: bool) -> None:
    """By the lease that was seen, or else by what the volume knows."""
    clock = [0.0]
    queue = FlushedQueue(clock, times=10**6, taken=taken)
    recorder = dispatch(files, queue, plan(scaffolds=("0",)), clock=lambda: clock[0], begun=lambda *_: not taken)
    assert len([sent for sent in queue.sent if sent[1] == "valid_1"]) == 3
    kept = files.load_quarantined(Job(experiment="exp", iteration=0, scaffold_id="0", run_type="valid_1"))
    assert kept is not None and kept.error_message == "The worker that had taken the run is gone."
    assert (recorder.count("finished"), recorder.count("quarantined")) == (4, 1)


JOB = Job(experiment="exp", iteration=0, scaffold_id="0", run_type="valid_0")


class TestGivingUp:
    """Before an attempt is followed by anything, it can commit no more."""

    def test_no_attempt_is_sent_while_an_earlier_one_could_commit(self, files: ExperimentFileManager) -> None:
        at_work: list[Draft] = []

        def answer(job: Job, attempt: int) -> list[Receipt]:
            for earlier in at_work:
                with pytest.raises(Superseded):
                    earlier.commit(committed(job))
            at_work.append(files.begin_attempt(job, attempt))
            return [INFRA]

        recorder = dispatch(files, ScriptedQueue(answer), plan(runs=1, scaffolds=("0",)))
        assert recorder.count("quarantined") == 1 and len(at_work) == 3
        with pytest.raises(Superseded):
            at_work[-1].commit(committed(JOB))
        with pytest.raises(Superseded):
            files.begin_attempt(JOB, 3)

    def test_the_next_session_begins_behind_the_fence(self, files: ExperimentFileManager) -> None:
        dispatch(files, ScriptedQueue(lambda job, attempt: [INFRA]), plan(runs=1, scaffolds=("0",)))
        with files.begin_attempt(JOB, 1, session=2) as draft:
            assert draft.commit(committed(JOB))

    @pytest.mark.parametrize("attempts", [1, 3])
    def test_what_was_committed_at_the_last_moment_counts(
        self, files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch, attempts: int
    ) -> None:
        """Between the look for a result and the fence, at the first attempt or at the last."""
        give_up = files.give_up

        def committing(job: Job, attempt: int, session: int = 1) -> None:
            if attempt == attempts:
                files.commit_result(committed(job))
            give_up(job, attempt, session)

        monkeypatch.setattr(files, "give_up", committing)
        queue = ScriptedQueue(lambda job, attempt: [INFRA])
        recorder = dispatch(files, queue, plan(runs=1, scaffolds=("0",)))
        assert len(queue.sent) == attempts
        assert (recorder.count("finished"), recorder.count("quarantined")) == (1, 0)

    def test_a_volume_that_takes_no_fence_is_waited_for(
        self, files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        give_up, refusals = files.give_up, iter([OSError(28, "No space left on device", "/v/f")] * 4)
        queue = ScriptedQueue(lambda job, attempt: [INFRA])

        def full(job: Job, attempt: int, session: int = 1) -> None:
            for error in refusals:
                assert len(queue.sent) == 1
                raise error
            give_up(job, attempt, session)

        monkeypatch.setattr(files, "give_up", full)
        recorder = dispatch(files, queue, plan(runs=1, scaffolds=("0",)), clock=ticking(1))
        assert (len(queue.sent), recorder.count("quarantined")) == (3, 1)
        said = [text for kind, text in recorder.events if kind == "said"]
        assert said and "disk is full" in said[0] and said[0].endswith("Until then no failed run is tried again.")

    def test_while_a_volume_is_waited_for_who_waits_as_well_is_not_given_up(
        self, files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Workers whose volume is read-only take no jobs, and say so; nor does it take the fence of a failed one."""
        clock = [0.0]
        well_at = 60 * 60.0
        give_up = files.give_up

        class Paused(ScriptedQueue):
            def receive(self, timeout: float) -> list[tuple[Job, int, Receipt]]:
                clock[0] += 1.0
                paused = 1.5 < clock[0] < well_at
                self.said = "The workers are paused." if paused else None
                return [] if paused else super().receive(timeout)

        def read_only(job: Job, attempt: int, session: int = 1) -> None:
            if clock[0] < well_at:
                raise OSError(30, "Read-only file system", "/v/f")
            give_up(job, attempt, session)

        monkeypatch.setattr(files, "give_up", read_only)
        queue = Paused(lambda job, attempt: [INFRA] if (job.run_type, attempt) == ("valid_0", 1) else [OK])
        recorder = dispatch(files, queue, plan(scaffolds=("0",)), clock=lambda: clock[0])
        assert [sent for sent in queue.sent if sent[2] > 1] == [("0", "valid_0", 2)]
        said = {text.split(":")[0] for kind, text in recorder.events if kind == "said"}
        assert "The workers are paused." in said and len(said) == 2
        assert (recorder.count("finished"), recorder.count("quarantined")) == (5, 0)

    def test_a_refused_attempt_is_dropped_and_told_of(self, files: ExperimentFileManager) -> None:
        """It comes in while its successor is at work, and is no failure of that."""
        refused = INFRA.model_copy(update={"superseded": True, "attempt": 1})
        late: list[Receipt] = []

        class Late(ScriptedQueue):
            def receive(self, timeout: float) -> list[tuple[Job, int, Receipt]]:
                known = [(JOB, 1, late.pop())] if late else []
                return known + super().receive(timeout)

        def answer(job: Job, attempt: int) -> list[Receipt]:
            if attempt == 1:
                draft = files.begin_attempt(job, 1)
                files.give_up(job, 1)
                with pytest.raises(Superseded):
                    draft.commit(committed(job))
                late.append(refused)
                return [INFRA]
            return [OK]

        recorder = dispatch(files, Late(answer), plan(runs=1, scaffolds=("0",)))
        assert (recorder.count("finished"), recorder.count("retried"), recorder.count("quarantined")) == (1, 1, 0)
        assert {text for kind, text in recorder.events if kind == "dropped"} == {"1"}
