"""What the queue shows, and what it does not."""

from pathlib import Path

import pytest
from celery import Celery
from redis import Redis
from redis.exceptions import NoPermissionError, ResponseError

import shared
from shared import queue
from shared.errors import BrokerUnavailable, UsageError
from shared.leases import PREFIX, Leases
from shared.models import Job
from shared.models.result import without_paths
from shared.queue import (
    check_broker,
    folder_url,
    is_of_volume,
    job_queue,
    make_app,
    remove_folder,
    send_job,
    without_password,
)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:secret@lab:6379/0", "redis://lab:6379/0"),
        ("rediss://user:p@ss@lab/1", "rediss://lab/1"),
        ("redis://u:se/cret@lab:1/0", "redis://..."),
        ("redis://u:12/secret@lab:1/0", "redis://..."),
        ("redis://u:12?secret@lab:1/0", "redis://u:12"),
        ("redis://u:secret@[::1/0", "redis://..."),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


@pytest.mark.parametrize("url", ["amqp://u:secret@lab", "redis://u:secret@[::1/0", "u:secret@lab", "redis://u:secret/"])
def test_nor_in_a_refusal(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_app(url)
    assert "secret" not in str(caught.value)


def test_a_folder_of_any_name_is_a_broker(tmp_path: Path) -> None:
    folder = tmp_path / "t #1 %41?x ü"
    url = folder_url(folder)
    with make_app(url).connection_for_write() as connection:
        connection.SimpleQueue("scaffoldry").put({"job": 1})
    assert len(list((folder / "messages").iterdir())) == 1
    remove_folder(url)
    assert not folder.exists()
    remove_folder("redis://localhost/0")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/lab/data/x_1 holds no experiment", ".../x_1 holds no experiment"),
        ("bind source '/var/lib/x/scaffolds/0' is not there", "bind source '.../0' is not there"),
        ("see http://127.0.0.1:8000/v1/models, 3/4 done", "see http://127.0.0.1:8000/v1/models, 3/4 done"),
    ],
)
def test_a_sentence_without_paths(text: str, shown: str) -> None:
    assert without_paths(text) == shown


def test_a_queue_is_of_one_version_one_volume_and_one_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = "0123456789abcdef"
    ours = job_queue(volume, "docker")
    assert ours == f"scaffoldry.{shared.__version__}.{volume}.docker"
    others = {job_queue(volume, "process"), job_queue("0" * 16, "docker")}
    monkeypatch.setattr(shared, "__version__", "9.0")
    assert len({ours, *others, job_queue(volume, "docker")}) == 4
    assert is_of_volume(ours, volume) and is_of_volume(job_queue(volume, "process"), volume)
    assert not is_of_volume(ours, "0" * 16) and not is_of_volume(ours, "")


def test_a_message_of_each_session_and_attempt_has_an_id_of_its_own(tmp_path: Path) -> None:
    """Else the answer to an earlier one, a dropped one too, would pass for the answer to a later."""
    app = make_app(folder_url(tmp_path / "t"), job_queue("0" * 16, "docker"))
    job = Job(experiment="gsm8k_1", iteration=3, scaffold_id="2-0", run_type="valid_12")
    ids = [send_job(app, job, attempt, session).id for session in (1, 2) for attempt in (1, 2)]
    plain = "gsm8k_1.it003.2-0.valid_12"
    assert ids == [plain, f"{plain}.attempt2", f"{plain}.session2", f"{plain}.session2.attempt2"]
    names = [path.name for path in (tmp_path / "t" / "messages").iterdir()]
    assert len(names) == 4 and all(name.endswith(f".{job_queue('0' * 16, 'docker')}.msg") for name in names)


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (ResponseError("syntax error"), "is too old for leases on jobs.*Redis 7.0 or later"),
        (NoPermissionError("no permissions to access a key"), "does not let .* do what it must.*broker_acl"),
    ],
)
def test_a_worker_is_not_begun_where_no_lease_can_be_taken(
    refused: ResponseError, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ping(app: Celery, *command: str) -> None:
        if command[:1] == ("SET",):
            raise refused

    monkeypatch.setattr(queue, "ping", ping)
    app = make_app("redis://127.0.0.1:1/0")
    check_broker(app, "here")
    with pytest.raises(BrokerUnavailable, match=words):
        check_broker(app, "here", takes_jobs=True)


def test_what_is_tried_is_how_a_lease_is_taken() -> None:
    sent: list[tuple[str, ...]] = []
    client = Redis()
    client.execute_command = lambda *command, **_: sent.append(tuple(map(str, command)))  # type: ignore[method-assign]
    Leases(client)._put(f"{PREFIX}probe", "probe", absent=True)
    (command,) = sent
    tried = queue._JOB_COMMANDS[-1]
    assert sorted(filter(str.isalpha, command)) == sorted(filter(str.isalpha, tried))
    assert command[1] == tried[1], "a key that only leases' rights reach"
