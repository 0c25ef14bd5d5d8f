"""The job queue over Celery."""

from collections import deque
from collections.abc import Callable
from typing import Any

from celery import Celery
from pydantic import ValidationError

from coordinator.dispatch import JobQueue
from coordinator.report import words
from shared.errors import BrokerUnavailable, NoWorker
from shared.models import Job, Receipt, Status
from shared.queue import connection_errors, send_job


class CeleryQueue(JobQueue):
    """Sends jobs with Celery and hears of their ends through its result backend."""

    def __init__(
        self,
        app: Celery,
        where: str,
        wait: bool = True,
        watch: Callable[[], None] | None = None,
        resumed: bool = False,
    ) -> None:
        """``where`` names the broker in sentences; ``wait``: whether to go on when no worker listens.

        ``watch`` is called between receipts; it raises where there is no sense in waiting for more.
        ``resumed``: an earlier session may have sent these jobs.
        """
        self._app = app
        self._where = where
        self._wait = wait
        self._watch = watch
        self._resumed = resumed
        self._received: deque[tuple[Job, int, Receipt]] = deque()
        self._backend: Any = app.backend
        self._errors = connection_errors(app)
        self._lost: tuple[type[Exception], ...] = (*self._errors, RuntimeError)

    def send(self, job: Job, attempt: int) -> None:
        try:
            pending = send_job(self._app, job, attempt, again=self._resumed)
        except self._errors as error:
            raise BrokerUnavailable(f"The broker at {self._where} did not take a job: {error}.") from None

        def arrived(answer: Any) -> None:
            self._received.append((job, attempt, read_receipt(answer.state, answer.result)))
            # A pending result and its promise refer to each other; let both go now rather than at the next collection.
            self._backend.remove_pending_result(pending)

        pending.then(arrived, on_error=arrived)

    def receive(self, timeout: float) -> list[tuple[Job, int, Receipt]]:
        if self._watch is not None:
            self._watch()
        consumer = self._backend.result_consumer
        try:
            if not self._received:
                consumer.drain_events(timeout=timeout)
            while self._drain_more(consumer):
                continue
        except TimeoutError:
            pass  # nothing came in time
        except self._lost as error:
            raise BrokerUnavailable(f"The broker at {self._where} went away: {error}.") from None
        received = list(self._received)
        self._received.clear()
        return received

    def _drain_more(self, consumer: Any) -> bool:
        before = len(self._received)
        consumer.drain_events(timeout=0)
        return len(self._received) > before

    def close(self) -> None:
        """Let go of the connections."""
        self._app.close()

    def __enter__(self) -> "CeleryQueue":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def complaint(self) -> str | None:
        if self._watch is not None or any(self._app.control.ping(timeout=2.0) for _ in range(2)):
            return None
        start = words.command("worker", "--broker-url", self._where)
        sentence = f"No worker is listening on {self._where}. Start one: {start}"
        if not self._wait:
            raise NoWorker(sentence)
        return sentence


def read_receipt(state: str, result: Any) -> Receipt:
    """A receipt from what Celery says came of a task; a task that failed or was lost is our machinery's failure."""
    if state == "SUCCESS":
        try:
            return Receipt.model_validate(result)
        except ValidationError:
            return Receipt(status=Status.INFRA_ERROR, error_message="The worker's answer is of another version.")
    return Receipt(status=Status.INFRA_ERROR, error_message=f"The worker lost the run ({state.lower()}: {result}).")
