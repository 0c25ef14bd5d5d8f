"""A Redis as a lab runs it: a user for each role with what it needs and no more, TLS, and outages."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Producer
from redis.backoff import NoBackoff
from redis.retry import Retry

from coordinator.celery_queue import CeleryQueue
from shared.broker_acl import ROLES
from shared.errors import BrokerUnavailable
from shared.queue import check_broker, make_app, without_password
from tests.brokers import PASSWORDS, Broker
from tests.conftest import command_environment, scaffoldry
from tests.e2e.conftest import result_files, wait_until, worker, write_experiment

pytestmark = [pytest.mark.redis]

QUICK = "def process_input(input_string):\n    return input_string\n"
SLOW = "import time\n\ndef process_input(input_string):\n    time.sleep(0.3)\n    return input_string\n"
SLEEPER = "import time\n\ndef process_input(input_string):\n    time.sleep(60)\n    return input_string\n"
NAME = "acl-worker"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    server = Broker(tmp_path_factory.mktemp("broker"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def served(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory that a worker with its role's user serves, over TLS."""
    data_dir = tmp_path_factory.mktemp("data")
    url = f"{broker.tls_url('worker')}?ssl_ca_certs={broker.folder / 'ca.crt'}"
    with worker(url, data_dir, "--sandbox", "process", "--concurrency", "2", name=NAME):
        yield data_dir


@pytest.fixture(scope="module")
def experiment(broker: Broker, served: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment that was run over TLS, with the authority as a setting."""
    folder = tmp_path_factory.mktemp("experiment")
    done = scaffoldry(
        *("run", str(spec(folder, QUICK, name="tls")), "--data-dir", str(served)),
        cwd=folder,
        SCAFFOLDRY_BROKER_URL=broker.tls_url("coordinator"),
        SCAFFOLDRY_BROKER_CA=str(broker.folder / "ca.crt"),
    )
    assert done.returncode == 0, done.stderr
    found = begun(served, "tls")
    assert found is not None
    return found


def spec(folder: Path, code: str, runs: int = 4, name: str = "test") -> Path:
    examples: list[dict[str, object]] = [{"input": str(n), "answer": str(n)} for n in range(runs)]
    return write_experiment(folder, {"a": code}, examples, sandbox="process", name=name)


def coordinator(spec: Path, data_dir: Path, url: str, talk: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "coordinator", "run", str(spec), "--data-dir", str(data_dir), "--broker-url", url]
    with talk.open("wb") as file:
        return subprocess.Popen(command, env=command_environment(), stdout=subprocess.DEVNULL, stderr=file)


def begun(data_dir: Path, name: str) -> Path | None:
    """The one experiment of that name, once there is one."""
    return next(data_dir.glob(f"{name}_*"), None)


# ---------------------------------------------------------------------- what the roles may do


def test_every_role_does_its_work(broker: Broker, served: Path, tmp_path: Path) -> None:
    """Runs, answers to control commands, events for Flower, a cancel; and Redis had nothing to refuse."""
    broker.refusals()
    seen: list[str] = []
    flower = make_app(broker.url("flower"))
    replies = flower.control.broadcast("enable_events", reply=True, timeout=5, limit=1)
    assert [name for reply in replies for name in reply] == [f"worker@{NAME}"]
    assert list(flower.control.inspect(timeout=5, limit=1).stats()) == [f"worker@{NAME}"]
    wanted = {"task-received", "task-started", "task-succeeded"}
    connection = flower.connection_for_read()
    receiver = flower.events.Receiver(connection, handlers={"*": lambda event: note(event["type"])})

    def note(kind: str) -> None:
        seen.append(kind)
        receiver.should_stop = wanted <= set(seen)

    def listen() -> None:
        with connection:
            receiver.capture(timeout=30, wakeup=False)

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        url = broker.url("coordinator")
        done = scaffoldry(
            "run", str(spec(tmp_path, QUICK)), "--data-dir", str(served), "--broker-url", url, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert "Complete" in done.stderr
    finally:
        listener.join()
    assert wanted <= set(seen)
    with redis.Redis.from_url(broker.url("flower")) as client:
        assert client.llen(flower.conf.task_default_queue) == 0
    assert CeleryQueue(make_app(url), "here").waiting() == 0

    found = scaffoldry("doctor", "--data-dir", str(served), "--broker-url", url, cwd=tmp_path).stdout
    assert f"ok      worker {NAME}" in found
    assert not any(word in found + done.stderr for word in PASSWORDS.values())

    process = coordinator(spec(tmp_path / "long", SLEEPER, runs=2, name="long"), served, url, tmp_path / "talk")
    try:
        inspect: Any = make_app(url).control.inspect(timeout=1)
        wait_until(lambda: len((inspect.active() or {}).get(f"worker@{NAME}", ())) == 2, 30, "two runs under way")
        done = scaffoldry("cancel", str(begun(served, "long")), "--broker-url", url, cwd=tmp_path)
        assert "2 runs under way killed" in done.stderr
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
    assert broker.refusals() == []


INBOX = "coordinator.5eed.reply.celery.pidbox"
FLOWERS = "flower.5eed.reply.celery.pidbox"
FORBIDDEN: dict[str, tuple[str, tuple[str, ...]]] = {
    "the worker empties Redis": ("worker", ("FLUSHALL",)),
    "the worker reads the configuration": ("worker", ("CONFIG", "GET", "*")),
    "the worker lists keys": ("worker", ("KEYS", "*")),
    "the worker lists keys a few at a time": ("worker", ("SCAN", "0")),
    "the worker reads the coordinator's inbox": ("worker", ("LRANGE", INBOX, "0", "-1")),
    "the worker empties the coordinator's inbox": ("worker", ("RPOP", INBOX)),
    "the worker removes the coordinator's inbox": ("worker", ("DEL", INBOX)),
    "the worker reads Flower's inbox": ("worker", ("LRANGE", FLOWERS, "0", "-1")),
    "the worker empties Flower's inbox": ("worker", ("BRPOP", FLOWERS, "1")),
    "the worker removes Flower's inbox": ("worker", ("DEL", FLOWERS)),
    "the worker looks who listens to events": ("worker", ("SMEMBERS", "_kombu.binding.celeryev")),
    "the worker listens to events": ("worker", ("PSUBSCRIBE", "/0.celeryev/*")),
    "the worker listens for results": ("worker", ("SUBSCRIBE", "celery-task-meta-x")),
    "the worker reads leases": ("worker", ("GET", "scaffoldry-lease:x")),
    "the coordinator takes jobs": ("coordinator", ("BRPOP", "scaffoldry", "1")),
    "the coordinator makes up results": ("coordinator", ("SET", "celery-task-meta-x", "1")),
    "the coordinator writes leases": ("coordinator", ("SET", "scaffoldry-lease:x", "1")),
    "the coordinator listens to events": ("coordinator", ("PSUBSCRIBE", "/0.celeryev/*")),
    "the coordinator empties Redis": ("coordinator", ("FLUSHDB",)),
    "Flower takes jobs": ("flower", ("BRPOP", "scaffoldry", "1")),
    "Flower sends jobs": ("flower", ("LPUSH", "scaffoldry", "x")),
    "Flower reads results": ("flower", ("GET", "celery-task-meta-x")),
    "Flower reads the coordinator's inbox": ("flower", ("LRANGE", INBOX, "0", "-1")),
    "the coordinator empties Flower's inbox": ("coordinator", ("BRPOP", FLOWERS, "1")),
    "Flower makes up users": ("flower", ("ACL", "SETUSER", "x")),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_what_no_role_may_do(broker: Broker, what: str) -> None:
    role, command = FORBIDDEN[what]
    with broker.client(role) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command)
    assert [user for user, _, _ in broker.refusals()] == [role]


@pytest.mark.parametrize(
    ("role", "command"),
    [
        ("worker", ("SET", "scaffoldry-lease:x", "1", "PX", "60")),
        ("coordinator", ("MGET", "scaffoldry-lease:x")),
        ("coordinator", ("LLEN", "scaffoldry.0.1.0.5eed")),
    ],
)
def test_what_a_role_may_do(broker: Broker, role: str, command: tuple[str, ...]) -> None:
    with broker.client(role) as client:
        client.execute_command(*command)
    assert broker.refusals() == []


@pytest.mark.parametrize("role", ROLES)
def test_nothing_that_redis_calls_dangerous(broker: Broker, role: str) -> None:
    admin = broker.client("admin")
    names = {name for kind in ("dangerous", "admin") for name in admin.acl_cat(kind)}
    assert {"flushall", "keys", "config|get", "monitor"} <= names
    assert {name: allowance(admin, role, name) for name in names} == dict.fromkeys(names, False)
    assert allowance(admin, role, "ping")


def allowance(admin: Any, role: str, name: str) -> bool | None:
    """Whether the role may use the command at all; None where Redis would not say."""
    for count in range(8):
        try:
            answer = admin.execute_command("ACL", "DRYRUN", role, *name.split("|"), *["1"] * count)
        except redis.exceptions.ResponseError:
            continue  # another number of arguments
        return "to run the" not in answer
    return None


@pytest.mark.parametrize("role", ["default", *ROLES])
def test_without_the_password_nobody_gets_in(broker: Broker, role: str) -> None:
    for options in ({}, {"username": role, "password": "guess"}):
        once = Retry(NoBackoff(), 0)
        client = redis.Redis(port=broker.port, retry=once, **options)  # type: ignore[arg-type]
        with client, pytest.raises(redis.exceptions.AuthenticationError):
            client.ping()
    broker.refusals()


# ---------------------------------------------------------------------- messages of another kind


@pytest.mark.parametrize("kind", ["application/x-python-serialize", "application/x-yaml"])
def test_a_message_that_is_not_json_is_refused_unread(broker: Broker, served: Path, tmp_path: Path, kind: str) -> None:
    trap = tmp_path / "trap"
    body = {
        "application/x-python-serialize": b"cos\nsystem\n(S'touch " + str(trap).encode() + b"'\ntR.",
        "application/x-yaml": f"!!python/object/apply:os.system ['touch {trap}']".encode(),
    }[kind]
    app = make_app(broker.url("coordinator"))
    inspect: Any = app.control.inspect(timeout=5, limit=1)
    ((queue,),) = [[one["name"] for one in queues] for queues in inspect.active_queues().values()]
    headers = {"lang": "py", "task": "scaffoldry.run_job", "id": "hostile", "root_id": "hostile"}
    encoding = "binary" if "python" in kind else "utf-8"
    with app.connection_for_write() as connection:
        Producer(connection).publish(
            body, routing_key=queue, content_type=kind, content_encoding=encoding, headers=headers
        )
    admin = broker.client("admin")
    wait_until(lambda: admin.llen(queue) == 0 and admin.hlen("unacked") == 0, 20, "the message taken and put away")
    url = broker.url("coordinator")
    done = scaffoldry(
        "run", str(spec(tmp_path, QUICK, 1)), "--data-dir", str(served), "--broker-url", url, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert not trap.exists()


# ---------------------------------------------------------------------- TLS


def test_a_run_over_tls(experiment: Path) -> None:
    assert len(result_files(experiment)) == 4


@pytest.mark.parametrize(
    ("ca", "host", "words"),
    [
        ("other.crt", "localhost", ("certificate", "not accepted", "SCAFFOLDRY_BROKER_CA")),
        (None, "localhost", ("certificate", "not accepted", "SCAFFOLDRY_BROKER_CA")),
        ("ca.crt", "127.0.0.1", ("certificate", "not valid for '127.0.0.1'")),
    ],
)
def test_a_certificate_that_proves_nothing(broker: Broker, ca: str | None, host: str, words: tuple[str, ...]) -> None:
    url = broker.tls_url("worker", host) + (f"?ssl_ca_certs={broker.folder / ca}" if ca else "")
    with pytest.raises(BrokerUnavailable) as caught:
        check_broker(make_app(url), without_password(url))
    for word in words:
        assert word in str(caught.value)


def test_a_url_may_ask_for_less(broker: Broker) -> None:
    url = broker.tls_url("worker") + "?ssl_cert_reqs=none"
    check_broker(make_app(url), without_password(url))


def test_plain_redis_on_a_tls_port_and_the_reverse(broker: Broker) -> None:
    plain = broker.url("worker").replace(str(broker.port), str(broker.tls_port))
    with pytest.raises(BrokerUnavailable, match="TLS") as caught:
        check_broker(make_app(plain), without_password(plain))
    assert PASSWORDS["worker"] not in str(caught.value)
    over = broker.tls_url("worker").replace(str(broker.tls_port), str(broker.port))
    with pytest.raises(BrokerUnavailable, match="TLS"):
        check_broker(make_app(over), without_password(over))


# ---------------------------------------------------------------------- refusals in sentences


@pytest.mark.parametrize("command", ["run", "resume", "worker", "cancel", "doctor", "workers", "flower"])
def test_a_wrong_password_in_every_command(broker: Broker, experiment: Path, tmp_path: Path, command: str) -> None:
    argument = {"run": str(spec(tmp_path, QUICK)), "resume": str(experiment), "cancel": str(experiment)}.get(command)
    more = ("--sandbox", "process") if command == "worker" else ()
    url = broker.url("coordinator", "hunter2")
    variables = {"SCAFFOLDRY_BROKER_URL": url, "SCAFFOLDRY_FLOWER_LOGIN": "open sesame"}
    done = scaffoldry(command, *([argument] if argument else ()), *more, cwd=tmp_path, **variables)
    assert done.returncode == 3, done.stderr
    said = done.stdout + done.stderr
    assert "refuses the user 'coordinator' or its password" in said
    assert "hunter2" not in said and "Traceback" not in said
    broker.refusals()


def test_a_worker_with_another_roles_url(broker: Broker, tmp_path: Path) -> None:
    url = broker.url("coordinator")
    done = scaffoldry("worker", "--sandbox", "process", "--broker-url", url, "--data-dir", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "does not let the user 'coordinator'" in done.stderr and "Traceback" not in done.stderr
    broker.refusals()


def test_a_session_with_a_workers_url(broker: Broker, served: Path, tmp_path: Path) -> None:
    arguments = ("run", str(spec(tmp_path, QUICK)), "--data-dir", str(served), "--broker-url", broker.url("worker"))
    done = scaffoldry(*arguments, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "does not let the user 'worker'" in done.stderr and "bug" not in done.stderr
    broker.refusals()


def test_what_answers_is_no_redis(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"redis://worker:secret@127.0.0.1:{server.server_port}/0"
        try:
            with pytest.raises(BrokerUnavailable, match="no Redis") as caught:
                check_broker(make_app(url), without_password(url))
        finally:
            server.shutdown()
    assert "secret" not in str(caught.value) and "\\n" not in str(caught.value)


# ---------------------------------------------------------------------- Redis is away for a while


@pytest.mark.timeout(900)
def test_a_session_and_its_worker_outlast_an_outage(broker: Broker, served: Path, tmp_path: Path) -> None:
    talk = tmp_path / "talk"
    process = coordinator(spec(tmp_path, SLOW, 40, name="outage"), served, broker.url("coordinator"), talk)
    try:
        wait_until(lambda: begun(served, "outage") is not None, 30, "an experiment")
        running = begun(served, "outage")
        assert running is not None
        wait_until(lambda: len(result_files(running)) >= 4, 30, "some results")
        broker.stop()
        wait_until(lambda: "is away" in talk.read_text(), 20, "a word about it")
        count = len(result_files(running))
        broker.start()
        assert process.wait(200) == 0, talk.read_text()
    finally:
        process.kill()
        process.wait()
    assert count < 40 == len(result_files(running))
    said = talk.read_text()
    assert said.count("is away") == said.count("is back") == 1
    assert not any(word in said for word in PASSWORDS.values())
    logs = [path.read_text() for path in (running / "logs").rglob("*.log")]
    assert sum(log.count("=== run: ") for log in logs) < 60  # it went on, it did not begin again
