"""What a session asks of the engine when things go wrong, on an engine that only remembers."""

import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import HostTrouble, InfraError, SandboxUnavailable
from shared.models import Labels, Limits, RunRequest, ScaffoldMount
from worker import pausing
from worker.sandbox import docker_sandbox
from worker.sandbox.docker import LOOK_TIMEOUT, Engine, NoAnswer
from worker.sandbox.docker_sandbox import END_TIMEOUT, KILL_TIMEOUT, DockerSandbox
from worker.sandbox.exchange import End
from worker.sandbox.protocol import GRACE, start_timeout
from worker.sandbox.removal import Removals


class RememberedEngine:
    """Keeps the names of containers that exist; ``troubles`` are raised by the call of that name."""

    def __init__(self, **troubles: BaseException) -> None:
        self.troubles = troubles
        self.containers: set[str] = set()
        self.is_local = True
        self.api = "1.41"
        self._threads = ThreadPoolExecutor(4)

    def later(self, call: Any, *args: Any) -> "Future[Any]":
        return self._threads.submit(call, *args)

    def _trouble(self, call: str) -> None:
        if call in self.troubles:
            raise self.troubles[call]

    def connect(self) -> None:
        self._trouble("connect")

    def version(self) -> dict[str, Any]:
        self._trouble("version")
        return {"Os": "linux", "Version": "20.10.24", "ApiVersion": self.api}

    def image(self, reference: str) -> dict[str, Any] | None:
        return None

    def create(self, name: str, config: dict[str, Any], seconds: float) -> None:
        self._trouble("create")
        time.sleep(0.05)
        self.containers.add(name)

    @contextmanager
    def attach(self, name: str, seconds: float) -> Iterator[int]:
        self._trouble("attach")
        yield -1

    def start(self, name: str, seconds: float) -> None:
        self._trouble("start")

    def remove(self, name: str, seconds: float = 20.0) -> None:
        self._trouble("remove")
        self.containers.discard(name)


def run(engine: RememberedEngine) -> None:
    scaffold = ScaffoldMount(scaffold_id="0", directory=Path("/x"))
    with DockerSandbox(engine).open(scaffold, Limits(), Labels()) as session:  # type: ignore[arg-type]
        session.run(RunRequest(input_string="x"))


@pytest.mark.parametrize("call", ["attach", "start"])
@pytest.mark.parametrize("trouble", [InfraError("no"), HostTrouble("killed"), SystemExit(1), KeyboardInterrupt()])
def test_whatever_is_raised_the_container_is_removed(call: str, trouble: BaseException) -> None:
    engine = RememberedEngine(**{call: trouble})
    with pytest.raises(type(trouble)):
        run(engine)
    assert engine.containers == set()


@pytest.mark.parametrize("call", ["create", "attach", "start"])
def test_an_engine_that_does_not_answer_is_not_waited_for_again(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its container is removed in the background, once the engine answers."""
    pursued: list[str] = []
    monkeypatch.setattr(Removals, "pursue", lambda removals, name: pursued.append(name))
    engine = RememberedEngine(**{call: NoAnswer("silent"), "remove": AssertionError("waited for")})
    with pytest.raises(NoAnswer, match="silent"):
        run(engine)
    assert len(pursued) == 1 and engine.containers <= set(pursued)


@given(st.floats(min_value=1.0, max_value=3600.0))
def test_an_engine_that_hangs_holds_a_run_for_no_more_than_its_timeout_and_half_a_minute(timeout: float) -> None:
    """Whether it hangs at the start or at the end, and with the look at the engine before the attempt is answered."""
    look = LOOK_TIMEOUT + pausing._HEARD
    assert start_timeout(timeout) + look <= timeout + 30
    assert KILL_TIMEOUT < END_TIMEOUT and timeout + GRACE + END_TIMEOUT + look <= timeout + 30


@pytest.mark.parametrize("end", [End.DEADLINE, End.CLOSED])
def test_what_is_asked_after_the_end_shares_its_seconds(end: End, monkeypatch: pytest.MonkeyPatch) -> None:
    left: dict[str, float] = {}

    class Asked(RememberedEngine):
        def wait(self, name: str, timeout: float) -> int:
            return 1

        def kill(self, name: str, seconds: float) -> None:
            left["kill"] = seconds
            time.sleep(0.2)

        def oom_killed(self, name: str, seconds: float) -> bool:
            left["oom_killed"] = seconds
            time.sleep(0.2)
            return False

        def killed_from_outside(self, name: str, seconds: float) -> bool:
            left["killed_from_outside"] = seconds
            return False

    monkeypatch.setattr(docker_sandbox, "exchange", lambda *_: end)
    monkeypatch.setattr(docker_sandbox, "END_TIMEOUT", 10.0)
    monkeypatch.setattr(docker_sandbox, "KILL_TIMEOUT", 5.0)
    with suppress(InfraError):  # it never said that it was ready
        run(Asked())
    if end is End.DEADLINE:
        assert left["kill"] == 5.0 and 0 < left["oom_killed"] <= 9.8 and len(left) == 2
    else:
        assert 0 < left["killed_from_outside"] <= 9.8 < left["oom_killed"] <= 10.0 and len(left) == 2


def test_interrupted_while_the_container_is_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exception comes to the waiting thread; the engine makes the container all the same."""
    engine = RememberedEngine()

    class Interrupted(Future):  # type: ignore[type-arg]
        def result(self, timeout: float | None = None) -> Any:
            raise SystemExit(15)

    def later(call: Any, *args: Any) -> "Future[Any]":
        future: Future[Any] = Interrupted()
        inner = engine._threads.submit(call, *args)
        inner.add_done_callback(lambda done: future.set_result(None))
        return future

    monkeypatch.setattr(engine, "later", later)
    # `exception` waits for the end without raising what the thread was interrupted with.
    with pytest.raises(SystemExit):
        run(engine)
    assert engine.containers == set()


def test_told_to_end_while_the_making_of_its_container_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the container is left, nor a thread that was about to start and keeps the process from ending."""
    engine = RememberedEngine()
    asked: list[bool] = []

    def later(call: Any, *args: Any) -> "Future[Any]":
        signal.raise_signal(signal.SIGTERM)
        future = engine._threads.submit(call, *args)
        asked.append(True)
        return future

    monkeypatch.setattr(engine, "later", later)
    handler = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    try:
        with pytest.raises(SystemExit):
            run(engine)
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert asked and engine.containers == set()


def test_what_starts_a_thread_is_not_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    submit = ThreadPoolExecutor.submit

    def told(pool: ThreadPoolExecutor, *args: Any) -> "Future[Any]":
        signal.raise_signal(signal.SIGTERM)
        begun.append("submitted")
        return submit(pool, *args)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", told)
    monkeypatch.setattr(Engine, "_connect", lambda engine: None)
    handler = signal.signal(signal.SIGTERM, lambda number, frame: begun.append("handled"))
    try:
        assert Engine().later(lambda: 42).result(10) == 42
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert begun == ["submitted", "handled"]


def test_trouble_with_the_removal_does_not_hide_the_interrupt() -> None:
    engine = RememberedEngine(start=SystemExit(15), remove=InfraError("busy"))
    with pytest.raises(SystemExit) as caught:
        run(engine)
    assert caught.value.__notes__ == ["busy"]  # type: ignore[attr-defined]


def test_a_container_that_could_not_be_made() -> None:
    engine = RememberedEngine(create=InfraError("no image"))
    engine.containers.add("another's")
    with pytest.raises(InfraError, match="no image"):
        run(engine)
    assert engine.containers == {"another's"}


def test_no_engine_is_said_in_a_sentence() -> None:
    engine = RememberedEngine(version=InfraError("The Docker engine could not answer: refused"))
    with pytest.raises(SandboxUnavailable, match="could not answer: refused"):
        DockerSandbox(engine).check()  # type: ignore[arg-type]


def test_a_missing_image_names_the_command() -> None:
    with pytest.raises(SandboxUnavailable, match="scaffoldry image build"):
        DockerSandbox(RememberedEngine()).check()  # type: ignore[arg-type]


@pytest.mark.parametrize("api", ["1.39", "1.9", "0.99", "unknown", ""])
def test_an_engine_that_is_too_old_is_refused(api: str) -> None:
    engine = RememberedEngine()
    engine.api = api
    with pytest.raises(SandboxUnavailable, match=rf"engine 20.10.24 is too old: it speaks API {api}, and .*1\.40"):
        DockerSandbox(engine).check()  # type: ignore[arg-type]


@pytest.mark.parametrize("api", ["1.40", "1.41", "1.100", "2.0"])
def test_an_engine_that_is_new_enough_is_not(api: str) -> None:
    engine = RememberedEngine()
    engine.api = api
    with pytest.raises(SandboxUnavailable, match="image"):
        DockerSandbox(engine).check()  # type: ignore[arg-type]
