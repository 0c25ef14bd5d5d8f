"""Dispatch over a queue that does as the test says."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coordinator.dispatch import SMALLEST_WINDOW, Dispatch, JobQueue
from coordinator.report.base import Reporter, Summary
from shared.errors import Cancelled, OutOfBudget
from shared.file_manager import ExperimentFileManager
from shared.models import Example, Job, Plan, Receipt, RunResult, Status

OK = Receipt(status=Status.OK, score=1.0, worker="w", slots=2)
INFRA = Receipt(status=Status.INFRA_ERROR, worker="w", error_message="docker went away")

Answer = Callable[[Job, int], list[Receipt]]


class ScriptedQueue(JobQueue):
    """Answers each attempt with the receipts that the test's function gives, a few at a time."""

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
    files: ExperimentFileManager, queue: ScriptedQueue, of: Plan, clock: Callable[[], float] = lambda: 0.0
) -> Recorder:
    recorder = Recorder()
    Dispatch(
        files=files,
        plan=of,
        queue=queue,
        reporter=recorder,
        stall_after=60,
        on_complaint=recorder.say,
        clock=clock,
        retry_delays=(0, 0),
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


def test_the_window_grows_with_the_workers_that_answer(files: ExperimentFileManager) -> None:
    queue = ScriptedQueue(lambda job, attempt: [OK.model_copy(update={"slots": 50})])
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
        assert (queue.sent, recorder.events) == ([], [])

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
