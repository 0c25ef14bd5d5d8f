"""The Celery app: how jobs reach the workers, and how word of them comes back.

A message holds a job's ids and the numbers of the attempt and of the session, as JSON. It lies in the queue of its
version, its volume and its sandbox, so that no worker gets a job that it cannot do. With a Redis URL the broker and the
results live in Redis; without a server both live in a folder (``folder://``), for a coordinator and a worker on one
machine.
"""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from celery import Celery
from celery.app.control import Control
from celery.result import AsyncResult
from kombu import Queue
from kombu.exceptions import OperationalError
from kombu.pidbox import Mailbox

import shared
from shared.broker_url import SCHEMES, check_url, tls_options, without_query
from shared.errors import BrokerUnavailable, UsageError
from shared.folder_transport import SCHEME as FOLDER
from shared.models.job import Job
from shared.settings import get_settings

RUN_JOB = "scaffoldry.run_job"
NO_QUEUE = "scaffoldry"
"""What an app takes jobs from that was told of no volume; nobody sends any there."""
CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 30.0
"""A connection on which an answer takes longer is given up: a host that is gone closes none."""
KEEPALIVE = {socket.TCP_KEEPIDLE: 30, socket.TCP_KEEPINTVL: 10, socket.TCP_KEEPCNT: 3}


def job_queue(volume: str, sandbox: str) -> str:
    """The queue of that volume's jobs for that sandbox: for the workers of this version that serve both, and no others.

    Refusing a job takes no time, so a worker that could only refuse would empty the queue.
    """
    return f"scaffoldry.{shared.__version__}.{volume}.{sandbox}"


def is_of_volume(queue: str, volume: str) -> bool:
    """Whether a queue of that name, of whatever version and sandbox, has that volume's jobs."""
    return f".{volume}." in queue


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


def make_app(broker_url: str | None, queue: str = NO_QUEUE) -> Celery:
    """A Celery app on that broker whose jobs go through ``queue``; raises UsageError for a URL that cannot be one.

    Nothing is connected yet.
    """
    settings = _transport(broker_url)
    app = Celery("scaffoldry", set_as_current=False, control=_control(urlsplit(broker_url or "").username))
    app.conf.update(
        task_serializer="json",
        result_serializer="json",
        event_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        task_default_exchange="",
        task_acks_late=True,
        task_reject_on_worker_lost=False,  # the coordinator counts attempts and enqueues again
        task_store_errors_even_if_ignored=True,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,  # Flower switches them on where it listens
        task_send_sent_event=False,
        result_expires=300,  # a receipt that nobody heard by then is found on the volume
        result_extended=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        enable_utc=True,
    )
    app.conf.update(settings)
    use_queue(app, queue)
    return app


def use_queue(app: Celery, queue: str) -> None:
    """Have an app that is not connected yet send its jobs through ``queue``, or take them from there."""
    app.conf.update(
        task_default_queue=queue,
        # The default exchange needs no bindings, so a message never waits for one to be declared.
        task_queues=[Queue(queue, exchange="", routing_key=queue)],
        task_default_routing_key=queue,
    )


def _control(user: str | None) -> type[Control]:
    """Remote control whose inboxes begin with the broker's user, so that users can be kept from each other's."""

    class Inbox(Mailbox):
        @property
        def oid(self) -> str:
            return f"{user}.{super().oid}" if user else str(super().oid)

    class OwnControl(Control):
        Mailbox = Inbox

    return OwnControl


def _transport(broker_url: str | None) -> dict[str, Any]:
    scheme, found, _ = (broker_url or "").partition("://")
    options: dict[str, Any]
    if broker_url is None:
        return {"broker_url": "memory://", "result_backend": "cache+memory://"}
    if scheme in SCHEMES:
        return _redis(broker_url)
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
    kind = f"of the kind {scheme!r}" if found else "whose URL names no kind"  # without one it may be a password
    raise UsageError(f"A broker {kind} is none that Scaffoldry can use: give a redis:// or rediss:// URL.")


def _redis(url: str) -> dict[str, Any]:
    """Redis as broker and result backend, by way of a network that may fail, or just fall silent, at any time."""
    check_url(url)
    tls = tls_options(url, get_settings().broker_ca)
    plain = without_query(url)
    return {
        "broker_url": plain,
        "result_backend": plain,
        "broker_use_ssl": tls,
        "redis_backend_use_ssl": tls,
        "broker_transport_options": {
            "visibility_timeout": get_settings().visibility_timeout,
            "unacked_restore_limit": 0,  # see puts_back
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_timeout": SILENCE_SECONDS,
            "socket_keepalive": True,
            "socket_keepalive_options": KEEPALIVE,
            "health_check_interval": 15,
        },
        # After a reconnection Celery takes one message more than it can run: that job would be nobody's for a while.
        "worker_disable_prefetch": True,
        "redis_socket_connect_timeout": CONNECT_SECONDS,
        "redis_socket_timeout": SILENCE_SECONDS,
        "redis_socket_keepalive": True,
        "redis_backend_health_check_interval": 15,
        "redis_retry_on_timeout": True,
        # A worker keeps a receipt for some minutes while Redis is away. One that is lost after that is no loss: the
        # coordinator finds the result on the volume.
        "result_backend_transport_options": {
            "retry_policy": {"max_retries": 120, "interval_start": 0, "interval_step": 0.5, "interval_max": 3}
        },
    }


def puts_back(app: Celery) -> None:
    """Have this app, a worker's, put messages back on their queue that some worker took, and lost, a day ago.

    Every Celery program does so that takes messages of any kind; those that only read answers are kept from it, and
    need no right to it.
    """
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, "unacked_restore_limit": None}


def send_job(app: Celery, job: Job, attempt: int, session: int) -> AsyncResult[Any]:
    """Put one attempt of a job on the queue. Raises one of ``connection_errors`` where the broker does not take it.

    The three together are sent once: Celery would not announce a second success of the same task.
    """
    numbers = {"session": session, "attempt": attempt}
    return app.send_task(
        RUN_JOB,
        kwargs={"job": job.model_dump(), **numbers},
        task_id=job.attempt_id(attempt, session),
        argsrepr=str(job),
        kwargsrepr=f"attempt {attempt}",
        declare=(),  # there is nothing to declare of a queue on the default exchange, and it would be done each time
        retry_policy={"max_retries": 3, "interval_start": 0, "interval_step": 0.5, "interval_max": 2},
    )


def connection_errors(app: Celery) -> tuple[type[Exception], ...]:
    """What a lost or refused connection to the app's broker or backend raises."""
    with app.connection_for_read() as opened:
        connection: Any = opened
        known = (OperationalError, *connection.connection_errors, *connection.channel_errors)
    if not is_redis(app):
        return known
    from redis.exceptions import RedisError  # slow to import, and a folder does without

    return (RedisError, *known)


def is_redis(app: Celery) -> bool:
    """Whether the app's broker and results are a Redis's."""
    return urlsplit(str(app.conf.broker_url)).scheme in SCHEMES


_JOB_COMMANDS = (
    ("HGET", "unacked", ""),
    ("SET", "scaffoldry-lease:probe", "probe", "PX", "1", "NX", "GET"),  # as in shared/leases.py; since Redis 7.0
)
"""One of what a worker asks of Redis to have a job, and one to have its lease."""


def check_broker(app: Celery, where: str, *, takes_jobs: bool = False) -> None:
    """Raise BrokerUnavailable, with the reason, unless the broker answers within a few seconds.

    With ``takes_jobs`` also where the URL's user may not take any: Celery would say so with a traceback. And where no
    lease can be taken: each longer run would count as lost, and nobody would say why.
    """
    with in_sentences(app, where):
        if is_redis(app):
            for command in _JOB_COMMANDS if takes_jobs else ((),):
                ping(app, *command)
        else:
            with app.connection_for_read() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=5)


@contextmanager
def in_sentences(app: Celery, where: str) -> Iterator[None]:
    """Raise BrokerUnavailable, with the reason, where the broker fails or refuses what the context asks of it."""
    try:
        yield
    except connection_errors(app) as error:
        raise unavailable(app, where, error) from None


def unavailable(app: Celery, where: str, error: BaseException) -> BrokerUnavailable:
    """One of ``connection_errors`` as a sentence."""
    from shared.broker_words import broker_sentence  # slow to import, and seldom needed

    return BrokerUnavailable(broker_sentence(error, where, str(app.conf.broker_url)))


def ping(app: Celery, *command: str) -> None:
    """Ask Redis, once and on a connection of its own, whether it is there, or else what ``command`` asks.

    Raises one of ``connection_errors``.
    """
    from redis import ConnectionPool, Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    backend: Any = app.backend
    options = {**backend.connparams, "socket_timeout": CONNECT_SECONDS, "retry": Retry(NoBackoff(), 0)}
    pool: Any = ConnectionPool(**options)
    client: Any = Redis(connection_pool=pool)
    try:
        client.execute_command(*(command or ("PING",)))
    finally:
        pool.disconnect()


def without_password(broker_url: str) -> str:
    """The URL as it may be shown."""
    try:
        parts = urlsplit(broker_url)
        port = f":{parts.port}" if parts.port else ""
        if "@" in parts.path:
            raise ValueError("a password with a slash in it")
    except ValueError:
        return f"{broker_url.partition('://')[0]}://..."
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


app = make_app(get_settings().broker_url)
"""This process's app, on the broker of its settings: what a worker and Flower use."""
