"""What the coordinator may rely on of a job queue: one suite, over a folder and over Redis."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.contrib.testing.worker import start_worker
from redis import Redis

from coordinator.celery_queue import CeleryQueue, read_receipt
from coordinator.workers import Workers
from shared.errors import BrokerUnavailable, NoWorker, UsageError
from shared.models import Job, Receipt, Status
from shared.queue import CONNECT_SECONDS, RUN_JOB, check_broker, folder_url, make_app, send_job, without_password


@pytest.fixture(params=["folder", pytest.param("redis", marks=pytest.mark.redis)])
def broker_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return folder_url(tmp_path / "queue")
    return str(request.getfixturevalue("redis_url")).removesuffix("/0") + "/9"


@pytest.fixture
def served(broker_url: str) -> Iterator[str]:
    """The broker with a worker in a thread of this process, whose task answers by its job."""
    app = make_app(broker_url)

    @app.task(name=RUN_JOB, shared=False)  # type: ignore[untyped-decorator]
    def answer(job: dict[str, Any], attempt: int, session: int) -> dict[str, Any]:
        if job["run_type"] == "valid_13":
            raise RuntimeError("an unlucky number")
        return Receipt(status=Status.OK, score=attempt / 2, worker=job["scaffold_id"]).model_dump(mode="json")

    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
        yield broker_url


def job(number: int, experiment: str = "exp") -> Job:
    return Job(experiment=experiment, iteration=0, scaffold_id="2-0", run_type=f"valid_{number}")


def receive(queue: CeleryQueue, count: int) -> list[tuple[Job, int, Receipt]]:
    received: list[tuple[Job, int, Receipt]] = []
    for _ in range(100):
        received += queue.receive(timeout=0.2)
        if len(received) >= count:
            break
    return received


def test_every_job_comes_back_once(served: str, request: pytest.FixtureRequest) -> None:
    experiment = f"e{abs(hash(request.node.name)) % 10**6}"
    with CeleryQueue(make_app(served), "here") as queue:
        for number in range(10):
            queue.send(job(number, experiment), attempt=1)
        received = receive(queue, 10)
        assert sorted(found.run_type for found, _, _ in received) == sorted(f"valid_{n}" for n in range(10))
        assert {(r.status, r.score, r.worker) for _, _, r in received} == {(Status.OK, 0.5, "2-0")}
        queue.send(job(3, experiment), attempt=2)
        ((found, attempt, receipt),) = receive(queue, 1)
        assert (found.run_type, attempt, receipt.score) == ("valid_3", 2, 1.0)
        assert queue.receive(timeout=0.1) == []


def test_a_task_that_fails_is_our_failure(served: str) -> None:
    with CeleryQueue(make_app(served), "here") as queue:
        queue.send(job(13), attempt=1)
        ((_, _, receipt),) = receive(queue, 1)
    assert receipt.status is Status.INFRA_ERROR
    assert "an unlucky number" in (receipt.error_message or "")


def test_what_waits_is_counted_where_a_server_knows(broker_url: str, tmp_path: Path) -> None:
    app = make_app(broker_url, f"scaffoldry.{tmp_path.name}")
    for session in (1, 2):
        send_job(app, job(0), 1, session)
    with CeleryQueue(app, "here") as queue:
        assert queue.waiting() == (2 if broker_url.startswith("redis") else None)


def test_what_waits_at_a_broker_that_is_away_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(client: Redis, name: str) -> int:
        raise ConnectionError("refused")

    monkeypatch.setattr(Redis, "llen", away)
    assert CeleryQueue(make_app("redis://127.0.0.1:1/0"), "here").waiting() is None


def test_silence_with_nobody_listening(broker_url: str, tmp_path: Path) -> None:
    app = make_app(broker_url)
    with CeleryQueue(app, "here", Workers(app, tmp_path), wait=True) as patient:
        assert "No worker is listening" in (patient.complaint() or "")
        with pytest.raises(NoWorker):
            CeleryQueue(app, "here", Workers(app, tmp_path), wait=False).complaint()


def test_a_broker_that_is_not_there() -> None:
    url = "redis://:secret@127.0.0.1:1/0"
    with pytest.raises(BrokerUnavailable, match="does not answer") as caught:
        check_broker(make_app(url), without_password(url))
    assert "secret" not in str(caught.value)


def test_a_broker_that_takes_a_call_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://:secret@127.0.0.1:{silent.getsockname()[1]}/0"
        began = time.monotonic()
        with pytest.raises(BrokerUnavailable, match="does not answer"):
            check_broker(make_app(url), without_password(url))
        assert time.monotonic() - began < 2 * CONNECT_SECONDS


def test_a_broker_of_another_kind() -> None:
    with pytest.raises(UsageError, match="redis://"):
        make_app("amqp://localhost")


@pytest.mark.parametrize("answer", [None, "yes", {"status": "fine"}, {"status": "ok", "score": float("nan")}])
def test_an_answer_that_is_no_receipt(answer: Any) -> None:
    assert read_receipt("SUCCESS", answer).status is Status.INFRA_ERROR
