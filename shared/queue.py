"""The Celery app: how jobs reach the workers, and how word of them comes back.

A message holds a job's ids and the number of the attempt, as JSON. With a Redis URL the broker and the results live
in Redis; without a server both live in a folder (``folder://``), for a coordinator and a worker on one machine.
"""

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from celery import Celery
from celery.result import AsyncResult
from kombu import Queue
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from shared.errors import BrokerUnavailable, UsageError
from shared.folder_transport import SCHEME as FOLDER
from shared.models.job import Job
from shared.settings import get_settings

RUN_JOB = "scaffoldry.run_job"
QUEUE = "scaffoldry"


def folder_url(folder: Path) -> str:
    """The broker URL of a folder, which is made ready for it."""
    for name in ("messages", "taken", "control"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return f"{FOLDER}://{quote(str(folder))}"


def remove_folder(broker_url: str) -> None:
    """Remove what a broker of that URL keeps, where it is a folder."""
    parts = urlsplit(broker_url)
    if parts.scheme == FOLDER:
        shutil.rmtree(unquote(parts.path), ignore_errors=True)


def make_app(broker_url: str | None) -> Celery:
    """A Celery app on that broker; raises UsageError for a URL of another kind. Nothing is connected yet."""
    app = Celery("scaffoldry", set_as_current=False)
    app.conf.update(
        task_serializer="json",
        result_serializer="json",
        event_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        task_default_queue=QUEUE,
        # The default exchange needs no bindings, so a message never waits for one to be declared.
        task_queues=[Queue(QUEUE, exchange="", routing_key=QUEUE)],
        task_default_exchange="",
        task_default_routing_key=QUEUE,
        task_acks_late=True,
        task_reject_on_worker_lost=False,  # the coordinator counts attempts and enqueues again
        task_store_errors_even_if_ignored=True,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,  # Flower switches them on where it listens
        task_send_sent_event=False,
        result_expires=3600,
        result_extended=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        enable_utc=True,
    )
    app.conf.update(_transport(broker_url))
    return app


def _transport(broker_url: str | None) -> dict[str, Any]:
    scheme = urlsplit(broker_url or "").scheme
    options: dict[str, Any]
    if broker_url is None:
        return {"broker_url": "memory://", "result_backend": "cache+memory://"}
    if scheme in ("redis", "rediss"):
        options = {"visibility_timeout": 24 * 3600, "socket_keepalive": True, "health_check_interval": 30}
        return {
            "broker_url": broker_url,
            "result_backend": broker_url,
            "broker_transport_options": options,
            "redis_socket_keepalive": True,
            "redis_backend_health_check_interval": 30,
        }
    if scheme == FOLDER:
        folder = Path(unquote(urlsplit(broker_url).path))
        options = {
            "data_folder_in": str(folder / "messages"),
            "data_folder_out": str(folder / "messages"),
            "processed_folder": str(folder / "taken"),
            "control_folder": str(folder / "control"),
            "store_processed": False,
            "polling_interval": 0.01,
        }
        return {
            "broker_url": broker_url,
            "result_backend": "rpc://",
            "broker_transport_options": options,
        }
    raise UsageError(
        f"A broker of the kind {scheme!r} is none that Scaffoldry can use: give a redis:// or rediss:// URL."
    )


def send_job(app: Celery, job: Job, attempt: int, again: bool) -> AsyncResult[Any]:
    """Put one attempt of a job on the queue. Raises one of ``connection_errors`` where the broker does not take it.

    ``again``: the same attempt may have been sent before, by this session or an earlier one.
    """
    task_id = job.task_id if attempt == 1 else f"{job.task_id}.attempt{attempt}"
    if again:
        app.backend.forget(task_id)  # Celery would not announce a second success of the same task
    return app.send_task(
        RUN_JOB,
        kwargs={"job": job.model_dump(), "attempt": attempt},
        task_id=task_id,
        argsrepr=str(job),
        kwargsrepr=f"attempt {attempt}",
        retry_policy={"max_retries": 3, "interval_start": 0, "interval_step": 0.5, "interval_max": 2},
    )


def connection_errors(app: Celery) -> tuple[type[Exception], ...]:
    """What a lost or refused connection to the app's broker or backend raises."""
    with app.connection_for_read() as connection:
        return (OperationalError, RedisError, *connection.connection_errors, *connection.channel_errors)


def check_broker(app: Celery, where: str) -> None:
    """Raise BrokerUnavailable unless the broker answers within a few seconds."""
    try:
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=5)
    except connection_errors(app) as error:
        raise BrokerUnavailable(
            f"The broker at {where} does not answer: {str(error).rstrip('.')}. Start Redis there, or leave the broker "
            "URL out to run without a server."
        ) from None


def without_password(broker_url: str) -> str:
    """The URL as it may be shown."""
    parts = urlsplit(broker_url)
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return f"{parts.scheme}://..."
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


app = make_app(get_settings().broker_url)
"""This process's app, on the broker of its settings: what a worker and Flower use."""
