"""A worker's consumer whose connection is lost under it, with a run under way and a question for the next job open."""

from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kombu.common import ignore_errors
from kombu.utils.imports import symbol_by_name

from shared.models import Job
from shared.queue import make_app, send_job
from tests.brokers import Broker
from worker.consumer import Consumer, keep_messages

pytestmark = [pytest.mark.redis]

QUEUE = "scaffoldry.0.volume.process"
JOB = Job(experiment="exp", iteration=0, scaffold_id="0", run_type="valid_0")


def lose(consumer: Any) -> None:
    """As Celery's consumer does it."""
    keep_messages(consumer)
    with suppress(Exception):
        consumer.connection.collect(socket_timeout=1)
    ignore_errors(consumer.connection, consumer.connection.close)


@pytest.mark.parametrize("redis_goes_too", [True, False])
def test_the_run_is_not_put_back_and_is_answered_over_the_next_connection(tmp_path: Path, redis_goes_too: bool) -> None:
    broker = Broker(tmp_path)
    broker.start()
    admin = broker.client("admin")
    try:
        send_job(make_app(broker.url("coordinator"), QUEUE), JOB, 1, 1)
        app: Any = make_app(broker.url("worker"), QUEUE)
        connection = app.connection_for_read()
        taken: list[Any] = []
        with connection.Consumer(app.conf.task_queues, callbacks=[lambda body, message: taken.append(message)]) as old:
            connection.drain_events(timeout=10)
            with pytest.raises(TimeoutError):
                connection.drain_events(timeout=0.1)
            assert connection.default_channel._in_poll, "the next job is asked for"
            if redis_goes_too:
                broker.stop()
            consumer = SimpleNamespace(connection=connection, task_consumer=old)
            lose(consumer)
        taken[0].channel.basic_ack("there is no connection", False)
        if redis_goes_too:
            broker.start()
        else:
            assert (admin.llen(QUEUE), admin.hlen("unacked")) == (0, 1)
        with app.connection_for_read() as connection:
            consumer.task_consumer = SimpleNamespace(channel=connection.default_channel)
            taken[0].ack()
            assert admin.hlen("unacked") == admin.zcard("unacked_index") == 0
    finally:
        broker.stop()


def test_celery_finds_it_by_its_name() -> None:
    assert symbol_by_name("worker.consumer:Consumer") is Consumer
