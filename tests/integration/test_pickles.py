"""What another user of the Redis puts where receipts are looked for: it is never executed."""

import json
import os
import pickle
from pathlib import Path

import pytest
import redis
from celery import Celery
from celery.result import AsyncResult
from kombu.exceptions import KombuError

from coordinator.celery_queue import CeleryQueue
from shared.models import Job, Receipt, Status
from shared.queue import make_app

pytestmark = pytest.mark.redis

TASK = "exp/0/0/valid_1/1"


class Touch:
    """Makes a directory when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def receipt(path: Path) -> bytes:
    return pickle.dumps({"status": "SUCCESS", "result": Touch(path), "task_id": TASK, "traceback": None})


def read(app: Celery) -> object:
    return AsyncResult(TASK, app=app).result


def test_a_pickled_receipt_is_not_unpickled(redis_url: str, tmp_path: Path) -> None:
    server = redis.Redis.from_url(redis_url)
    key = f"celery-task-meta-{TASK}"
    made = tmp_path / "made"
    server.set(key, receipt(made))
    try:
        with make_app(redis_url) as app, pytest.raises((KombuError, UnicodeDecodeError)):
            read(app)
        assert not made.exists()

        with make_app(redis_url) as app:  # one that is told that the answers are pickles refuses those all the same
            app.conf.result_serializer = "pickle"
            with pytest.raises(KombuError):
                read(app)
        assert not made.exists()

        with make_app(redis_url) as app:  # and it is a pickle that does something, where pickles are taken
            app.conf.update(result_serializer="pickle", result_accept_content=["pickle"])
            read(app)
        assert made.is_dir()
    finally:
        server.delete(key)


def test_what_is_no_receipt_is_passed_over(redis_url: str, tmp_path: Path) -> None:
    server = redis.Redis.from_url(redis_url)
    name = "scaffoldry.pickles"
    job = Job(experiment="exp", iteration=0, scaffold_id="0", run_type="valid_1")
    channel = f"celery-task-meta-{job.attempt_id(1, 1)}"
    good = {"task_id": job.attempt_id(1, 1), "status": "SUCCESS", "traceback": None, "children": []}
    good["result"] = Receipt(status=Status.OK, score=1.0).model_dump(mode="json")
    try:
        with CeleryQueue(make_app(redis_url, name), "here") as queue:
            queue.send(job, 1)
            for junk in (receipt(tmp_path / "made"), b"\xff\xfe", b"[1", b"7"):
                assert server.publish(channel, junk) == 1
                assert queue.receive(5.0) == []
            server.publish(channel, json.dumps(good))
            ((received, attempt, found),) = queue.receive(5.0)
        assert (received, attempt, found.score) == (job, 1, 1.0)
        assert not (tmp_path / "made").exists()
    finally:
        server.delete(name)
