"""What the workers say of themselves, and what is wrong with them."""

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError

import shared
from coordinator import workers
from coordinator.celery_queue import CeleryQueue
from coordinator.workers import Workers, problems, start_command, usable_slots
from shared.errors import BrokerUnavailable, Cancelled, NoWorker
from shared.queue import job_queue, make_app
from shared.settings import get_settings
from shared.volume import VolumeProbe, volume_id
from tests.lab import FakeApp, Reply, stranger, worker

URL = "redis://127.0.0.1:1/0"


def asked(data_dir: Path, *answering: tuple[str, Reply]) -> Any:
    return Workers(FakeApp(*answering), data_dir).ask(1.0)  # type: ignore[arg-type]


def test_a_worker_of_the_same_version_and_volume_can_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1e9)
    (answer,) = asked(tmp_path, worker("lab1", tmp_path, ahead=5.0))
    assert (answer.problem, answer.state.name, answer.state.slots) == (None, "lab1", 2)
    assert answer.ahead == 5.0


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            {"version": "0.0.9"},
            f"worker@lab2 runs Scaffoldry 0.0.9, and this is {shared.__version__}: install the same version there.",
        ),
        (
            {"volume": None, "volume_problem": "Permission denied: .../x."},
            "worker@lab2 cannot use its data directory: Permission denied: .../x.",
        ),
        (
            {"queue": job_queue("0" * 16, "docker")},
            "worker@lab2 was started before its data directory was mounted: start it anew.",
        ),
        (
            {"trouble": "The Docker engine could not answer."},
            "worker@lab2 can start no run at present, and takes no job until it can: The Docker engine could not "
            "answer.",
        ),
    ],
)
def test_why_a_worker_cannot_serve(tmp_path: Path, said: dict[str, Any], sentence: str) -> None:
    answers = asked(tmp_path, worker("lab2", tmp_path, **said), worker("lab1", tmp_path))
    assert problems(answers) == [sentence]
    assert usable_slots(answers) == {"lab1": 2}


def test_a_worker_of_another_sandbox_cannot_serve_who_names_one(tmp_path: Path) -> None:
    lab: Any = FakeApp(worker("a", tmp_path, sandbox="process"), worker("b", tmp_path))
    assert problems(Workers(lab, tmp_path).ask(1.0)) == []
    answers = Workers(lab, tmp_path, "docker").ask(1.0)
    assert problems(answers) == [
        "worker@a runs scaffolds in the sandbox 'process' alone, and this experiment asks for 'docker': start a worker "
        "with --sandbox docker."
    ]
    assert usable_slots(answers) == {"b": 2}


def test_a_volume_that_is_not_shared_says_which(tmp_path: Path) -> None:
    (sentence,) = problems(asked(tmp_path / "here", worker("lab2", tmp_path / "there")))
    assert sentence.startswith(f"worker@lab2 does not share the data directory {tmp_path / 'here'}: ")
    assert "Mount the same volume there" in sentence and "SCAFFOLDRY_DATA_DIR" in sentence
    assert "there/" not in sentence


@pytest.mark.parametrize(
    ("record", "version"),
    [
        ({"error": "KeyError('scaffoldry_state')"}, ""),
        (None, ""),
        ("ok", ""),
        ({"version": 7}, ""),
        ({"name": "lab2", "version": "9.0", "slots": "many", "more": 1}, "9.0"),
    ],
)
def test_a_worker_of_another_version_may_answer_anything(tmp_path: Path, record: Any, version: str) -> None:
    (answer,) = asked(tmp_path, stranger("worker@lab2", record))
    assert (answer.state.name, answer.state.version) == ("lab2", version)
    assert answer.problem is not None and "install the same version there" in answer.problem


def test_a_newer_worker_may_say_more(tmp_path: Path) -> None:
    node, reply = worker("lab2", tmp_path)
    (answer,) = asked(tmp_path, (node, lambda question: {**reply(question), "colour": "green"}))
    assert answer.problem is None


def test_one_worker_that_answers_twice_is_one(tmp_path: Path) -> None:
    assert problems(asked(tmp_path, worker("lab", tmp_path), worker("lab", tmp_path))) == []


def test_two_hosts_of_one_name_are_told(tmp_path: Path) -> None:
    twins = (worker("lab", tmp_path, host=host, instance=host) for host in ("a", "b"))
    (sentence,) = problems(asked(tmp_path, *twins))
    assert sentence.startswith("2 workers answer as worker@lab, on the hosts a, b: give each a name of its own")


def test_a_busy_worker_may_miss_a_question(tmp_path: Path) -> None:
    silent = iter([[], [worker("lab", tmp_path)]])

    class Busy(FakeApp):
        def broadcast(self, *arguments: Any, **options: Any) -> list[dict[str, Any]]:
            self.workers = tuple(next(silent))
            return super().broadcast(*arguments, **options)

    lab = Busy(worker("lab", tmp_path))
    assert len(Workers(lab, tmp_path).ask(0.3)) == 1  # type: ignore[arg-type]
    assert [command for command, _ in lab.asked] == ["scaffoldry_state"] * 2


@pytest.mark.parametrize(
    ("given", "set_to", "command", "line"),
    [
        (URL, None, None, f"scaffoldry worker --broker-url {URL}"),
        (URL, URL, None, "scaffoldry worker"),
        ("redis://:hunter2@lab/0", None, None, "scaffoldry worker --broker-url redis://USER:PASSWORD@lab/0"),
        ("redis://:hunter2@lab/0", "redis://:hunter2@lab/0", None, "scaffoldry worker"),
        (
            "redis://coordinator:hunter2@lab/0",
            "redis://coordinator:hunter2@lab/0",
            None,
            "scaffoldry worker --broker-url redis://USER:PASSWORD@lab/0",
        ),
        ("redis://coordinator:x@redis/0", None, "docker-compose run --rm coordinator", "docker-compose up -d worker"),
        (URL, URL, "uv run scaffoldry", "scaffoldry worker"),
    ],
)
def test_the_line_that_starts_a_worker(
    monkeypatch: pytest.MonkeyPatch, given: str, set_to: str | None, command: str | None, line: str
) -> None:
    changed = get_settings().model_copy(update={"broker_url": set_to, "command": command})
    monkeypatch.setattr(workers, "get_settings", lambda: changed)
    monkeypatch.setattr(workers, "command", lambda *words: " ".join(("scaffoldry", *words)))
    assert start_command(given) == line


class TestTheQueue:
    """What the job queue makes of the workers' answers."""

    def queue(self, data_dir: Path, *answering: tuple[str, Reply], wait: bool = True) -> CeleryQueue:
        listening = Workers(FakeApp(*answering), data_dir)  # type: ignore[arg-type]
        return CeleryQueue(make_app(URL), "here", listening, wait=wait)

    def test_it_knows_the_slots_from_the_start(self, tmp_path: Path) -> None:
        queue = self.queue(tmp_path, worker("a", tmp_path, slots=3), worker("b", tmp_path), worker("c", tmp_path / "x"))
        (sentence,) = queue.look_around()
        assert (queue.slots, "worker@c does not share" in sentence) == (5, True)

    def test_it_names_who_has_a_copy_of_the_volume(self, tmp_path: Path) -> None:
        here, copy = tmp_path / "here", tmp_path / "copy"
        volume_id(here)
        shutil.copytree(here, copy)
        queue = self.queue(here, worker("a", here, slots=3), worker("b", copy))
        (sentence,) = queue.look_around()
        assert sentence.startswith(f"worker@b does not share the data directory {here}: ")
        assert queue.slots == 3
        assert sorted(path.name for path in here.iterdir()) == [".volume"]

    def test_a_volume_that_takes_no_token_is_no_obstacle(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(probe: VolumeProbe, token: str) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(VolumeProbe, "ask", full)
        queue = self.queue(tmp_path, worker("a", tmp_path, slots=3))
        assert (queue.look_around(), queue.slots) == ([], 3)

    def test_it_complains_only_where_nobody_can_serve(self, tmp_path: Path) -> None:
        assert self.queue(tmp_path, worker("a", tmp_path), worker("b", tmp_path / "x")).complaint() is None
        said = self.queue(tmp_path, worker("b", tmp_path / "x")).complaint() or ""
        assert said.startswith("No worker on here can take these jobs. worker@b does not share")
        assert (self.queue(tmp_path).complaint() or "").startswith(f"No worker is listening on {URL}. Start one: ")

    @pytest.mark.parametrize(
        ("why", "said"),
        [("No engine.", "No run can be started here at present, so this waits: No engine."), (None, None)],
    )
    def test_a_sessions_own_worker_says_why_it_takes_no_job(self, why: str | None, said: str | None) -> None:
        assert CeleryQueue(make_app(URL), "here", trouble=lambda: why).complaint() == said

    @pytest.mark.parametrize("version", [shared.__version__, "0.0.9"])
    def test_without_patience_that_ends_the_session(self, tmp_path: Path, version: str) -> None:
        queue = self.queue(tmp_path, worker("b", tmp_path / "x", version=version), wait=False)
        with pytest.raises(NoWorker, match="worker@b") as caught:
            queue.complaint()
        assert caught.value.exit_code == 3

    def failing(self, data_dir: Path, error: Exception) -> CeleryQueue:
        def fail(question: dict[str, Any]) -> Any:
            raise error

        def cancelled() -> None:
            raise Cancelled

        listening = Workers(FakeApp(("worker@lab", fail)), data_dir)  # type: ignore[arg-type]
        app = make_app("redis://worker:hunter2@127.0.0.1:1/0")
        return CeleryQueue(app, "here", listening, watch=cancelled, say=lambda sentence: None)

    def test_a_cancel_is_heard_while_redis_is_away(self, tmp_path: Path) -> None:
        with pytest.raises(Cancelled):
            self.failing(tmp_path, RedisConnectionError("refused")).complaint()

    def test_another_roles_url_is_told_in_a_sentence(self, tmp_path: Path) -> None:
        queue = self.failing(tmp_path, NoPermissionError("no permissions to run the 'subscribe' command"))
        with pytest.raises(BrokerUnavailable, match=r"at here does not let the user 'worker'.* each role has a user"):
            queue.complaint()
