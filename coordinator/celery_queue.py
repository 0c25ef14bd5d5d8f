"""The job queue over Celery."""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from celery import Celery
from kombu.exceptions import KombuError
from pydantic import ValidationError

from coordinator.job_queue import JobQueue
from coordinator.outage import Outage
from coordinator.workers import Answer, Workers, no_worker, problems, usable_slots
from shared.errors import BrokerUnavailable, NoWorker
from shared.leases import Sighting, leases_of
from shared.log import log
from shared.models import Job, Receipt, Status
from shared.queue import connection_errors, is_redis, send_job, unavailable


class CeleryQueue(JobQueue):
    """Sends jobs with Celery and hears of their ends through its result backend."""

    def __init__(
        self,
        app: Celery,
        where: str,
        workers: Workers | None = None,
        *,
        wait: bool = True,
        watch: Callable[[], None] | None = None,
        slots: int = 0,
        session: int = 1,
        say: Callable[[str], None] | None = None,
        trouble: Callable[[], str | None] = lambda: None,
    ) -> None:
        """``where`` names the broker in sentences; ``wait``: whether to go on when no worker listens.

        Without ``workers`` there is only the session's own, with ``slots``; ``trouble`` says why it takes no job.
        ``watch`` is called between receipts; it raises where there is no sense in waiting for more. ``session``: the
        number under which jobs are sent. ``say``, which only a Redis may be given: tells a user that it is away, and it
        is waited for; without, a broker that goes away raises BrokerUnavailable.
        """
        self._app = app
        self._where = where
        self._workers = workers
        self._wait = wait
        self._trouble = trouble
        self._watch = watch
        self._session = session
        self._slots = {"": slots}
        self._received: deque[tuple[Job, int, Receipt]] = deque()
        self._backend: Any = app.backend
        self._errors = connection_errors(app)
        self._outage = None if say is None else Outage(app, where, say, watch or (lambda: None))
        self._lost: tuple[type[Exception], ...] = (*self._errors, RuntimeError)
        self._leases = leases_of(app)

    def send(self, job: Job, attempt: int) -> None:
        pending = self._sent(job, attempt)

        def arrived(answer: Any) -> None:
            receipt = read_receipt(answer.state, answer.result)
            if receipt.worker and self._workers is not None:
                self._slots[receipt.worker] = max(receipt.slots, 1)
            self._received.append((job, attempt, receipt))
            # A pending result and its promise refer to each other; let both go now rather than at the next collection.
            self._backend.remove_pending_result(pending)

        pending.then(arrived, on_error=arrived)

    def _sent(self, job: Job, attempt: int) -> Any:
        while True:
            try:
                return send_job(self._app, job, attempt, self._session)
            except self._errors as error:
                # It may have taken it, and not have said so: a job that is delivered twice counts once.
                if self._outage is None or not self._outage.wait(error):
                    raise self._gone(error) from None

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
            raise self._gone(error) from None
        except (KombuError, ValueError, TypeError, LookupError) as error:
            # Whoever put it there: a receipt is no more than word of a result, which is found on the volume without it.
            log.warning("ignored what is no receipt", action="receipt_refused", error=repr(error)[:200])
        received = list(self._received)
        self._received.clear()
        return received

    def _gone(self, error: Exception) -> BrokerUnavailable:
        if is_redis(self._app):
            return unavailable(self._app, self._where, error)
        return BrokerUnavailable(f"The broker at {self._where} went away: {error}.")

    def _drain_more(self, consumer: Any) -> bool:
        before = len(self._received)
        consumer.drain_events(timeout=0)
        return len(self._received) > before

    def interrupted(self) -> bool:
        return self._outage is not None and self._outage.ended()

    @property
    def accounts(self) -> bool:
        return self._leases is not None

    def sightings(self, attempts: Sequence[tuple[Job, int]]) -> dict[tuple[Job, int], Sighting] | None:
        if self._leases is None:
            return {}
        named = {job.attempt_id(attempt, self._session): (job, attempt) for job, attempt in attempts}
        try:
            seen = self._leases.sightings(named, self._app.conf.task_default_queue)
        except self._errors:
            return None  # an outage, which is noticed where receipts come from
        return {named[task_id]: sighting for task_id, sighting in seen.items()}

    def waiting(self) -> int | None:
        if self._leases is None:
            return None
        try:
            return int(self._backend.client.llen(self._app.conf.task_default_queue))
        except self._errors:
            return None

    def close(self) -> None:
        """Let go of the connections."""
        self._app.close()

    def __enter__(self) -> "CeleryQueue":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def slots(self) -> int:
        return sum(self._slots.values())

    def look_around(self, seconds: float = 0.3) -> list[str]:
        """Get to know the workers; a sentence about each that listens and cannot serve."""
        answers = self._ask(seconds, probe=True) or []
        self._slots.update(usable_slots(answers))
        return problems(answers)

    def complaint(self) -> str | None:
        if self._workers is None:
            why = self._trouble()
            return why and f"No run can be started here at present, so this waits: {why}"
        answers = self._ask(2.0)
        if answers is None:
            return None
        usable = usable_slots(answers)
        if usable:
            self._slots = usable
            return None
        sentence = no_worker(str(self._app.conf.broker_url))
        if answers:
            sentence = " ".join([f"No worker on {self._where} can take these jobs.", *problems(answers)])
        if not self._wait:
            raise NoWorker(sentence)
        return sentence

    def _ask(self, seconds: float, probe: bool = False) -> list[Answer] | None:
        """Those who answer; None where the broker was away, and has been waited for."""
        if self._workers is None:
            return []
        try:
            if probe:
                with suppress(OSError):  # a volume that is full takes no token, and the session may wait for that
                    return self._workers.probe(seconds)
            return self._workers.ask(seconds)
        except self._errors as error:
            if self._outage is None or not self._outage.wait(error):
                raise self._gone(error) from None
            return None


def read_receipt(state: str, result: Any) -> Receipt:
    """A receipt from what Celery says came of a task; a task that failed or was lost is our machinery's failure."""
    if state == "SUCCESS":
        try:
            return Receipt.model_validate(result)
        except ValidationError:
            return Receipt(status=Status.INFRA_ERROR, error_message="The worker's answer is of another version.")
    return Receipt(status=Status.INFRA_ERROR, error_message=f"The worker lost the run ({state.lower()}: {result}).")
