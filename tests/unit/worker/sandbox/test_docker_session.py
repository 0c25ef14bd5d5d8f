"""What a session asks of the engine when things go wrong, on an engine that only remembers."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.errors import InfraError, SandboxUnavailable
from shared.models import Labels, Limits, RunRequest, ScaffoldMount
from worker.sandbox.docker_sandbox import DockerSandbox


class RememberedEngine:
    """Keeps the names of containers that exist; ``troubles`` are raised by the call of that name."""

    def __init__(self, **troubles: BaseException) -> None:
        self.troubles = troubles
        self.containers: set[str] = set()
        self.is_local = True
        self._threads = ThreadPoolExecutor(4)

    def later(self, call: Any, *args: Any) -> "Future[Any]":
        return self._threads.submit(call, *args)

    def _trouble(self, call: str) -> None:
        if call in self.troubles:
            raise self.troubles[call]

    def version(self) -> dict[str, Any]:
        self._trouble("version")
        return {"Os": "linux"}

    def image(self, reference: str) -> dict[str, Any] | None:
        return None

    def create(self, name: str, config: dict[str, Any]) -> None:
        self._trouble("create")
        time.sleep(0.05)
        self.containers.add(name)

    @contextmanager
    def attach(self, name: str) -> Iterator[int]:
        self._trouble("attach")
        yield -1

    def start(self, name: str) -> None:
        self._trouble("start")

    def remove(self, name: str) -> None:
        self._trouble("remove")
        self.containers.discard(name)


def run(engine: RememberedEngine) -> None:
    scaffold = ScaffoldMount(scaffold_id="0", directory=Path("/x"))
    with DockerSandbox(engine).open(scaffold, Limits(), Labels()) as session:  # type: ignore[arg-type]
        session.run(RunRequest(input_string="x"))


@pytest.mark.parametrize("call", ["attach", "start"])
@pytest.mark.parametrize("trouble", [InfraError("no"), SystemExit(1), KeyboardInterrupt()])
def test_whatever_is_raised_the_container_is_removed(call: str, trouble: BaseException) -> None:
    engine = RememberedEngine(**{call: trouble})
    with pytest.raises(type(trouble)):
        run(engine)
    assert engine.containers == set()


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
