"""A worker takes no job while none could be run on its host."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coordinator.embedded import read_trouble
from shared import atomic
from shared.errors import SandboxUnavailable
from shared.models import Receipt, Status
from shared.queue import job_queue, make_app
from shared.settings import get_settings
from shared.volume import volume_id
from worker import pausing, tasks
from worker.pausing import Pause, SharedSentence, after_failure, host_problem, look_until_well
from worker.sandbox.fake import FakeSandbox


class Engine(FakeSandbox):
    """Answers once it was asked so often in vain."""

    def __init__(self, failures: int = 0) -> None:
        super().__init__()
        self.failures = failures

    def check(self) -> None:
        self.failures -= 1
        if self.failures >= 0:
            raise SandboxUnavailable("The engine at /run/docker.sock\ndoes not answer.")


class Consumer:
    """Celery's, as far as queues go."""

    def __init__(self) -> None:
        self.queues = ["q"]
        self.app = SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from=self.queues)))

    def call_soon(self, call: Callable[[str], None], queue: str) -> None:
        call(queue)

    def cancel_task_queue(self, queue: str) -> None:
        self.queues.remove(queue)

    def add_task_queue(self, queue: str) -> None:
        self.queues.append(queue)


@pytest.fixture(autouse=True)
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("SCAFFOLDRY_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    engine = Engine()
    monkeypatch.setattr(pausing, "app", make_app(None, job_queue(volume_id(tmp_path / "data"), "docker")))
    monkeypatch.setattr(pausing, "build_sandbox", lambda name: engine)
    monkeypatch.setattr(pausing, "trouble", SharedSentence())
    monkeypatch.setattr(pausing, "_HEARD", 0.0)
    monkeypatch.setattr(pausing, "_pauses", True)
    yield engine
    get_settings.cache_clear()


def test_a_failure_on_a_host_that_is_well_changes_nothing(engine: Engine) -> None:
    after_failure()
    assert pausing.trouble.read() == ""


def test_a_failure_without_an_engine_is_told_in_one_line_without_paths(engine: Engine) -> None:
    engine.failures = 1
    after_failure()
    assert pausing.trouble.read() == "The engine at .../docker.sock does not answer."


def test_a_volume_that_is_gone_is_no_volume_that_is_made(tmp_path: Path) -> None:
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    for made in (False, True):
        if made:
            (tmp_path / "data").mkdir()
        assert "is not on the volume that it was on" in (host_problem() or "")
    assert list((tmp_path / "data").iterdir()) == []
    volume_id(tmp_path / "data")
    assert "is not on the volume that it was on" in (host_problem() or ""), "another one"


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_volume_that_cannot_be_written_is_noticed_without_an_engine(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, data: bytes) -> None:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(atomic, "write_file", refuse)
    assert host_problem() is not None


def test_a_volume_is_looked_at_by_two_processes_of_one_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = atomic.write_file

    def removed_by_the_other(path: Path, data: bytes) -> None:
        write(path, data)
        path.unlink()

    monkeypatch.setattr(atomic, "write_file", removed_by_the_other)
    assert host_problem() is None


def test_where_nobody_would_pause_nobody_looks(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pausing, "_pauses", False)
    engine.failures = 1
    after_failure()
    assert (pausing.trouble.read(), engine.failures) == ("", 1)


def test_what_is_said_can_be_read_in_a_file(tmp_path: Path) -> None:
    sentence = SharedSentence()
    sentence.show_in(tmp_path / "trouble")
    assert read_trouble(tmp_path / "trouble") is None
    sentence.write("No engine.")
    assert read_trouble(tmp_path / "trouble") == sentence.read() == "No engine."


def test_what_a_child_says_is_read_by_its_parent(engine: Engine) -> None:
    pid = os.fork()
    if pid == 0:
        pausing.trouble.write("x" * 5000)
        os._exit(0)
    os.waitpid(pid, 0)
    assert pausing.trouble.read() == "x" * 1024


class Looking:
    """A thread that lives until it is told otherwise."""

    def __init__(self, target: Callable[[], None], begun: "list[Looking]") -> None:
        self.target, self.lives = target, False
        self._begun = begun

    def start(self) -> None:
        self.lives = True
        self._begun.append(self)

    def is_alive(self) -> bool:
        return self.lives


def looks_begun(monkeypatch: pytest.MonkeyPatch) -> list[Looking]:
    begun: list[Looking] = []
    monkeypatch.setattr(pausing.threading, "Thread", lambda target, **_: Looking(target, begun))
    return begun


def test_the_queue_is_let_go_of_until_the_engine_answers(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    looking = looks_begun(monkeypatch)
    consumer = Consumer()
    pause = Pause(consumer)
    pause.tick()
    assert consumer.queues == ["q"]
    engine.failures = 4
    after_failure()
    pause.tick()
    pause.tick()
    assert consumer.queues == []
    assert [one.target for one in looking] == [look_until_well]
    look_until_well(0.0)
    assert engine.failures < 0 and pausing.trouble.read() == ""
    pause.tick()
    assert consumer.queues == ["q"]


def test_trouble_told_just_after_all_was_well_is_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    looking = looks_begun(monkeypatch)
    consumer = Consumer()
    pause = Pause(consumer)
    pausing.trouble.write("No engine.")
    pause.tick()
    pausing.trouble.write("")
    looking[0].lives = False
    pausing.trouble.write("No engine again.")
    pause.tick()
    pause.tick()
    assert (len(looking), looking[-1].lives, consumer.queues) == (2, True, [])
    pausing.trouble.write("")
    pause.tick()
    assert consumer.queues == ["q"]


def test_a_look_that_fails_in_a_new_way_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [RuntimeError("no idea"), None]

    def look() -> None:
        answer = answers.pop(0)
        if answer:
            raise answer

    monkeypatch.setattr(pausing, "host_problem", look)
    pausing.trouble.write("No engine.")
    look_until_well(0.0)
    assert (answers, pausing.trouble.read()) == ([], "")


def test_a_worker_that_is_leaving_takes_no_queue_up_again(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pausing, "look_until_well", lambda: None)
    consumer = Consumer()
    pause = Pause(consumer)
    pausing.trouble.write("No engine.")
    pause.tick()
    monkeypatch.setattr(pausing, "is_leaving", lambda: True)
    pausing.trouble.write("")
    pause.tick()
    assert consumer.queues == []


@pytest.mark.parametrize(
    ("receipt", "looks"),
    [
        (Receipt(status=Status.INFRA_ERROR), 1),
        (Receipt(status=Status.INFRA_ERROR, cancelled=True), 0),
        (Receipt(status=Status.INFRA_ERROR, out_of_budget=True), 0),
        (Receipt(status=Status.SCAFFOLD_ERROR), 0),
    ],
)
def test_a_look_is_taken_after_a_failure_of_ours_alone(
    receipt: Receipt, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[bool] = []
    monkeypatch.setattr(tasks, "_run", lambda message, worker: receipt)
    monkeypatch.setattr(tasks, "after_failure", lambda: looked.append(True) or "No engine.")
    job = {"experiment": "x_1", "iteration": 0, "scaffold_id": "0", "run_type": "valid_0"}
    answer = tasks.run_job_task(job, 1, 1)
    assert (answer["status"], answer.get("host_trouble", False), len(looked)) == (receipt.status, bool(looks), looks)
