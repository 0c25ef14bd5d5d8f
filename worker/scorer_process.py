"""Calling code nobody vouches for in a child process: it may crash, hang or exit, and this process lives on."""

import ctypes
import gc
import logging
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from io import FileIO, TextIOWrapper
from pathlib import Path
from typing import BinaryIO, NoReturn

from shared.errors import InfraError, ScorerError

MAX_ANSWER = 64 * 1024
"""Bytes."""
_READY = b"+"
_END = b"\n"
_START_SECONDS = 60.0
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_STOP_SECONDS = 0.2
_LIBC = ctypes.CDLL(None, use_errno=True)  # looked up here: between fork and exit nothing is loaded
_PR_SET_PDEATHSIG = 1
_KEPT: list[object] = []
"""In a child: the parent's streams. Finalised here, they would write what the parent has yet to write itself."""


def in_own_process(work: Callable[[], bytes], time_limit: float) -> bytes:
    """What ``work`` answers, called in a forked child; at most MAX_ANSWER bytes, without a newline.

    Raises ScorerError where the child dies, is not done after ``time_limit`` seconds (it is killed then), or answers
    too much; InfraError where no child can be run. What a signal handler raises meanwhile passes through. No
    way out leaves the child behind, nor any process of its group.
    """
    try:
        reading, writing = os.pipe()
        with open(reading, "rb", buffering=0) as answers, open(writing, "wb", buffering=0) as answer_to:
            return _call(work, time_limit, answers, answer_to)
    except OSError as error:
        raise InfraError(f"The scorer's process cannot be run: {error}.") from error


def _call(work: Callable[[], bytes], time_limit: float, answers: BinaryIO, answer_to: BinaryIO) -> bytes:
    parent, mask = os.getpid(), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    child = None
    try:
        # No handler of this process may run in the child, nor here before the child can be ended.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        child = os.fork()
        if child == 0:
            _be_the_child(work, answer_to, mask, parent)
        answer_to.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return _answer(child, answers, time_limit)
    finally:
        if child:
            _end(child)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _be_the_child(
    work: Callable[[], bytes], answer_to: BinaryIO, mask: set[int | signal.Signals], parent: int
) -> NoReturn:
    """Never returns: this process has the stack of its parent, and ends before anything of it is unwound."""
    exit_code = 1
    try:
        _leave_the_parent(parent)
        os.write(answer_to.fileno(), _READY)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        answer = work()
        os.write(answer_to.fileno(), (answer + _END)[: MAX_ANSWER + 1])  # cut where the parent sees that it is too long
        exit_code = 0
    finally:
        os._exit(exit_code)


def _leave_the_parent(parent: int) -> None:
    """Give up what must not be shared with the parent: its signals, its terminal's group, its streams."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it died before the line above
    os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # Where memory runs out, the kernel ends this process before any other; if it can be told.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    gc.freeze()  # the parent's garbage has finalisers, which are not run twice
    _KEPT.extend((sys.stdin, sys.stdout, sys.stderr, logging.root.handlers))
    # Standard output may be the worker's answer to its caller; a thread of the parent may hold the locks of all three.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.stderr = TextIOWrapper(
        FileIO(2, "w", closefd=False), encoding="utf-8", errors="backslashreplace", write_through=True
    )
    logging.root.handlers = []  # warnings still go to the new stderr


def _answer(child: int, answers: BinaryIO, time_limit: float) -> bytes:
    """What the child answers; raises ScorerError or InfraError where it does not."""
    ready = _read(answers, 1, time.monotonic() + _START_SECONDS)
    if ready != _READY:
        raise InfraError("The scorer's process ended before the scorer began.")
    deadline = time.monotonic() + time_limit
    answer = _read(answers, MAX_ANSWER + 1, deadline)
    if answer.endswith(_END):
        return answer.removesuffix(_END)
    if len(answer) > MAX_ANSWER:
        raise ScorerError(f"The scorer's process answered more than {MAX_ANSWER} bytes.")
    raise ScorerError(_death(child, deadline) or f"The scorer took longer than {time_limit:g} s.")


def _read(answers: BinaryIO, size: int, deadline: float) -> bytes:
    """At most ``size`` bytes: up to a line's end, the end of the pipe, or the deadline."""
    poll = select.poll()
    poll.register(answers, select.POLLIN)
    read = b""
    while len(read) < size and not read.endswith(_END):
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            break
        piece = os.read(answers.fileno(), size - len(read))
        if not piece:
            break
        read += piece
    return read


def _death(child: int, deadline: float) -> str | None:
    """How the child died, as a sentence; None where it still lives at the deadline."""
    while (end := os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is None:
        if time.monotonic() > deadline:
            return None
        time.sleep(0.01)
    if end.si_code == os.CLD_EXITED:
        return f"The scorer ended its process with exit code {end.si_status}."
    if end.si_status in _STOP_SIGNALS:
        time.sleep(
            _STOP_SECONDS
        )  # Whoever stops all processes of a worker stops this one too: its handler comes first.
    if end.si_status == signal.SIGKILL:
        return "The scorer died of SIGKILL: most likely it took more memory than there is."
    names = {number.value: number.name for number in signal.Signals}  # the real-time signals have none
    return f"The scorer died of {names.get(end.si_status, f'signal {end.si_status}')}."


def _end(child: int) -> None:
    """Kill the child, whatever is left of its group, and wait for it. Its id is its own until then."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError):  # it may not lead a group yet
            kill(child, signal.SIGKILL)
    with suppress(ChildProcessError):  # where SIGCHLD is ignored nothing is left to wait for
        os.waitpid(child, 0)
