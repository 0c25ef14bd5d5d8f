"""Writing and reading at once, over plain pipes."""

import os
from collections.abc import Iterator

import pytest

from shared.models import Limits
from worker.sandbox import exchange as module
from worker.sandbox.exchange import Deadline, End, Input, exchange
from worker.sandbox.protocol import READY
from worker.sandbox.stream import ANSWER, TEXT, Capture


@pytest.fixture
def pipes() -> Iterator[tuple[int, int, int, int]]:
    """(program's stdin, our end of it, our end of its output, its output)."""
    stdin, ours = os.pipe()
    output, its = os.pipe()
    fds = (stdin, ours, output, its)
    yield fds
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            continue  # Closed by the test.


def talk(
    pipes: tuple[int, int, int, int], payload: bytes = b"x", timeout: float = 30, stream: int = TEXT
) -> tuple[End, Capture]:
    capture = Capture(Limits(output_limit=1024))
    source = Input(pipes[1], payload)
    end = exchange(source, {pipes[2]: lambda data: capture.feed(stream, data)}, capture, Deadline(timeout, capture))
    return end, capture


def test_closed_streams_are_the_end(pipes: tuple[int, int, int, int]) -> None:
    os.write(pipes[3], b"said")
    os.close(pipes[3])
    end, capture = talk(pipes)
    assert (end, capture.text) == (End.CLOSED, "said")
    assert os.read(pipes[0], 10) == b"x"


def test_a_program_that_reads_nothing_may_end(pipes: tuple[int, int, int, int]) -> None:
    os.close(pipes[0])
    os.close(pipes[3])
    assert talk(pipes, b"x" * 10**6)[0] is End.CLOSED


def test_a_flood_is_the_end(pipes: tuple[int, int, int, int]) -> None:
    os.write(pipes[3], b"x" * 2000)
    assert talk(pipes)[0] is End.FLOODED


def test_the_runner_must_be_ready_in_time(pipes: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "start_timeout", lambda timeout: 0.05)
    assert talk(pipes, timeout=1000)[0] is End.DEADLINE


def test_the_outer_deadline_counts_from_ready(
    pipes: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE", 0.01)
    os.write(pipes[3], READY)
    end, capture = talk(pipes, timeout=0.05, stream=ANSWER)
    assert end is End.DEADLINE and capture.began is not None


def test_the_dead_are_not_waited_for(pipes: tuple[int, int, int, int]) -> None:
    """A child of the program may hold its streams open; what the program said is read all the same."""
    death, dying = os.pipe()
    os.close(dying)
    os.write(pipes[3], b"last words")
    capture = Capture(Limits())
    readers = {pipes[2]: lambda data: capture.feed(TEXT, data)}
    end = exchange(Input(pipes[1], b""), readers, capture, Deadline(30, capture), death)
    os.close(death)
    assert (end, capture.text) == (End.CLOSED, "last words")
