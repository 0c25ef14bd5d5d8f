"""A forked child holds none of its parent's network connections, and all else."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import ROOT, command_environment
from worker.inheritance import _let_go

PARENT = """
import os, socket, sys
from worker.inheritance import leave_connections

leave_connections()
leave_connections()
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
alive, mine = os.pipe()
child = os.fork()
if child == 0:
    os.close(mine)
    os.read(alive, 1)
    os._exit(0)
peer.close()
print("closed", flush=True)
sys.stdin.read()
os.close(mine)
os.waitpid(child, 0)
"""


@contextmanager
def child() -> Iterator[int]:
    """A child that has let go, and then waits."""
    ready, mine = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _let_go()
            os.write(mine, b".")
            signal.pause()
        finally:
            os._exit(0)
    os.close(mine)
    try:
        assert os.read(ready, 1) == b".", "it ended before it had let go"
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_connection_is_not_a_childs_and_its_number_is_nobodys(family: socket.AddressFamily) -> None:
    local = "127.0.0.1" if family == socket.AF_INET else "::1"
    try:
        server = socket.create_server((local, 0), family=family)
    except OSError:
        assert family == socket.AF_INET6, "there is a loopback"
        return
    with server, socket.create_connection(server.getsockname()[:2]) as ours, child() as pid:
        assert os.readlink(f"/proc/{os.getpid()}/fd/{ours.fileno()}").startswith("socket:")
        assert os.readlink(f"/proc/{pid}/fd/{ours.fileno()}") == os.devnull
        ours.sendall(b"still the parent's")
        theirs, _ = server.accept()
        with theirs:
            assert theirs.recv(100) == b"still the parent's"


def test_what_a_pool_speaks_over_is_a_childs() -> None:
    reading, writing = os.pipe()
    one, other = socket.socketpair()
    with one, other, child() as pid:
        for fd in (reading, writing, one.fileno(), other.fileno()):
            assert os.readlink(f"/proc/{pid}/fd/{fd}") == os.readlink(f"/proc/{os.getpid()}/fd/{fd}")
    os.close(reading)
    os.close(writing)


def test_a_connection_ends_with_the_parents_though_a_child_lives() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        command = [sys.executable, "-c", PARENT, str(server.getsockname()[1])]
        with subprocess.Popen(
            command, cwd=ROOT, env=command_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as parent:
            try:
                theirs, _ = server.accept()
                assert parent.stdout is not None and parent.stdin is not None
                assert parent.stdout.readline() == "closed\n"
                theirs.settimeout(30)
                assert theirs.recv(1) == b""
                parent.stdin.close()
                assert parent.wait(30) == 0
            finally:
                parent.kill()


def test_it_may_happen_while_other_threads_open_and_close() -> None:
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            socket.socket().close()

    threads = [threading.Thread(target=churn) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            with child():
                pass
    finally:
        stop.set()
        for thread in threads:
            thread.join()
