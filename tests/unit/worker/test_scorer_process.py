"""``in_own_process``: what comes back, every way the child can end, and what must not reach the parent."""

import ctypes
import faulthandler
import gc
import logging
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import pytest

from shared.errors import InfraError, ScorerError
from worker.scorer_process import MAX_ANSWER, in_own_process

LIMIT = 30.0


def children() -> set[str]:
    """The process ids of this process's children, dead ones that nobody has waited for among them."""
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # another test's thread, which has just ended
            found.update((task / "children").read_text().split())
    return found


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left_of_others() -> None:
    """What earlier modules opened and dropped is closed now, and not while a test here looks at its descriptors."""
    gc.collect()


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No descriptor, no child and no signal mask outlasts a call."""
    before, mask = os.listdir("/proc/self/fd"), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    others = children()
    yield
    assert os.listdir("/proc/self/fd") == before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask
    assert children() <= others


def spin() -> bytes:
    while True:
        pass


def spin_in_c() -> bytes:
    return b"%d" % sum(range(10**15))


def exits(code: int) -> Callable[[], bytes]:
    def work() -> bytes:
        os._exit(code)

    return work


def dies_of(number: int) -> Callable[[], bytes]:
    def work() -> bytes:
        os.kill(os.getpid(), number)
        return b"alive"

    return work


def segfaults() -> bytes:
    faulthandler.disable()  # the test runner's, which is talkative
    return ctypes.string_at(0)


def aborts() -> bytes:
    faulthandler.disable()
    os.abort()


def raises() -> bytes:
    raise KeyboardInterrupt


@pytest.mark.parametrize("answer", [b"", b"{}", "é".encode(), b"x" * MAX_ANSWER], ids=len)
def test_the_answer_comes_back(answer: bytes) -> None:
    assert in_own_process(lambda: answer, LIMIT) == answer


@pytest.mark.parametrize(
    ("work", "sentence"),
    [
        (segfaults, "The scorer died of SIGSEGV."),
        (aborts, "The scorer died of SIGABRT."),
        (dies_of(signal.SIGTERM), "The scorer died of SIGTERM."),
        (dies_of(signal.SIGKILL), "The scorer died of SIGKILL: most likely it took more memory than there is."),
        (dies_of(40), "The scorer died of signal 40."),
        (exits(3), "The scorer ended its process with exit code 3."),
        (exits(0), "The scorer ended its process with exit code 0."),
        (raises, "The scorer ended its process with exit code 1."),
        (lambda: b"x" * 10**7, f"The scorer's process answered more than {MAX_ANSWER} bytes."),
    ],
)
def test_a_death_is_the_scorers(work: Callable[[], bytes], sentence: str) -> None:
    with pytest.raises(ScorerError) as caught:
        in_own_process(work, LIMIT)
    assert str(caught.value) == sentence


def close_all_and_spin() -> bytes:
    os.closerange(0, 1000)
    return spin()


def ignore_all_and_spin() -> bytes:
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    return spin()


@pytest.mark.parametrize("work", [spin, spin_in_c, close_all_and_spin, ignore_all_and_spin, dies_of(signal.SIGSTOP)])
def test_one_that_does_not_end_is_killed(work: Callable[[], bytes]) -> None:
    with pytest.raises(ScorerError, match=r"^The scorer took longer than 0.3 s.$"):
        in_own_process(work, 0.3)


def test_the_death_is_told_where_a_grandchild_holds_the_pipe() -> None:
    def work() -> bytes:
        if os.fork() == 0:
            time.sleep(60)
        os._exit(3)

    with pytest.raises(ScorerError, match="exit code 3"):
        in_own_process(work, 1.0)


def test_its_own_children_end_with_it() -> None:
    def work() -> bytes:
        return b"%d" % subprocess.Popen(["sleep", "60"]).pid

    sleeper = int(in_own_process(work, LIMIT))
    for _ in range(1000):
        if _is_gone(sleeper):
            return
        time.sleep(0.01)
    pytest.fail("The scorer's child still runs.")


def _is_gone(process: int) -> bool:
    """Whether the process is gone; a zombie that nobody waits for counts as gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_what_it_prints_goes_to_stderr_alone(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> bytes:
        print("printed \ud800")
        os.write(1, b"written\n")
        assert sys.stdin.read() == ""
        sys.exit(0)

    sys.stdout.write("the parent's, not yet flushed")
    with pytest.raises(ScorerError, match="exit code 1"):
        in_own_process(work, LIMIT)
    out, err = capfd.readouterr()
    assert out == "the parent's, not yet flushed"
    assert [line for line in err.splitlines() if line] == ["printed \\ud800", "written"]


def test_it_leaves_no_core_file_and_is_the_first_to_go_where_memory_runs_out() -> None:
    def work() -> bytes:
        score = Path("/proc/self/oom_score_adj").read_text().strip()
        return f"{resource.getrlimit(resource.RLIMIT_CORE)} {score}".encode()

    assert in_own_process(work, LIMIT) == b"(0, 0) 1000"


def test_nothing_it_changes_lasts() -> None:
    seen: list[int] = []

    def work() -> bytes:
        seen.append(1)
        os.environ["OF_A_SCORER"] = "1"
        os.chdir("/")
        return b"%d" % len(seen)

    before = os.getcwd()
    assert [in_own_process(work, LIMIT) for _ in range(2)] == [b"1", b"1"]
    assert (seen, os.environ.get("OF_A_SCORER"), os.getcwd()) == ([], None, before)


def test_no_process_to_be_had_is_the_machinerys_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", no_fork)
    with pytest.raises(InfraError, match=r"cannot be run: .*Resource temporarily unavailable"):
        in_own_process(spin, LIMIT)


def test_a_child_that_cannot_begin_is_the_machinerys_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_group(process: int, group: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpgid", no_group)
    with pytest.raises(InfraError, match="ended before the scorer began"):
        in_own_process(lambda: b"", LIMIT)


def test_in_another_thread_among_busy_ones() -> None:
    answers: list[bytes] = []
    stop = threading.Event()

    def chat() -> None:
        while not stop.is_set():
            logging.getLogger("of.a.worker").debug("busy")

    def call() -> None:
        answers.extend(in_own_process(lambda: b"done", LIMIT) for _ in range(20))

    threads = [threading.Thread(target=chat), threading.Thread(target=call), threading.Thread(target=call)]
    for thread in threads:
        thread.start()
    for thread in threads[1:]:
        thread.join(60)
    stop.set()
    threads[0].join(60)
    assert answers == [b"done"] * 40


@contextmanager
def handler(number: int, error: BaseException | None) -> Iterator[list[int]]:
    """As a worker's own machinery would: a handler that raises ``error``. Lists the processes in which it ran."""
    ran_in: list[int] = []

    def handle(received: int, frame: FrameType | None) -> None:
        ran_in.append(os.getpid())
        if error is not None:
            raise error

    previous = signal.signal(number, handle)
    try:
        yield ran_in
    finally:
        signal.signal(number, previous)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (signal.SIGTERM, SystemExit(15)),
        (signal.SIGINT, KeyboardInterrupt()),
        (signal.SIGUSR1, RuntimeError("soft time limit")),
        (signal.SIGQUIT, SystemExit(3)),
    ],
)
def test_what_the_workers_own_handlers_raise_passes_through_and_ends_the_child(
    number: int, error: BaseException
) -> None:
    reading, writing = os.pipe()

    def work() -> bytes:
        os.write(writing, b"%d" % os.getpid())
        os.kill(os.getppid(), number)
        return spin()

    try:
        with handler(number, error), pytest.raises(type(error)) as caught:
            in_own_process(work, LIMIT)
        assert caught.value is error
        assert _is_gone(int(os.read(reading, 20)))
    finally:
        os.close(reading)
        os.close(writing)


def test_the_workers_handlers_do_not_run_in_the_child(capfd: pytest.CaptureFixture[str]) -> None:
    def loud(number: int, frame: FrameType | None) -> None:
        os.write(2, b"the worker's handler")

    previous = signal.signal(signal.SIGTERM, loud)
    try:
        with pytest.raises(ScorerError, match="SIGTERM"):
            in_own_process(dies_of(signal.SIGTERM), LIMIT)
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert capfd.readouterr().err == ""


def test_a_handler_that_only_takes_note_changes_nothing() -> None:
    def work() -> bytes:
        os.kill(os.getppid(), signal.SIGTERM)
        return b"done"

    with handler(signal.SIGTERM, None) as ran_in:
        assert in_own_process(work, LIMIT) == b"done"
    assert ran_in == [os.getpid()]


def test_a_signal_to_all_processes_of_the_worker_is_no_death_of_the_scorers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service manager that stops a worker signals each of its processes, this one first by chance."""
    monkeypatch.setattr("worker.scorer_process._STOP_SECONDS", LIMIT)

    def work() -> bytes:
        subprocess.Popen(["sh", "-c", f"sleep 0.05; kill -TERM {os.getppid()}"], start_new_session=True)
        os.kill(os.getpid(), signal.SIGTERM)
        return b""

    with handler(signal.SIGTERM, SystemExit(15)), pytest.raises(SystemExit):
        in_own_process(work, LIMIT)


DYING = """
import os, sys, time
from worker.scorer_process import in_own_process

def work():
    os.write(int(sys.argv[1]), b"%d\\n" % os.getpid())
    while True:
        time.sleep(1)

in_own_process(work, 100)
"""


def test_a_killed_worker_leaves_no_scorer_behind() -> None:
    reading, writing = os.pipe()
    try:
        worker = subprocess.Popen(
            [sys.executable, "-c", DYING, str(writing)], pass_fds=[writing], stderr=subprocess.DEVNULL
        )
        try:
            scorer = int(os.read(reading, 20))
            assert not _is_gone(scorer)
        finally:
            worker.kill()
            worker.wait()
        os.close(writing)
        writing = -1
        # The pipe ends with the last process that holds it.
        assert select.select([reading], [], [], 30)[0] and os.read(reading, 1) == b""
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)
