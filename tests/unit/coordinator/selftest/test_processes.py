"""Looking into processes from outside, and harming files."""

import os
import random
import signal
import socket
import sys
from pathlib import Path

import pytest

from coordinator.selftest.faults.base import moments
from coordinator.selftest.faults.volume import flip_a_bit, truncate
from coordinator.selftest.needs import NEEDS, missing
from coordinator.selftest.processes import Process, children_of, local_ports, open_files, resident_mib, until


def test_a_process_is_seen_and_ended(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.Popen(['sleep', '60']); print('hello', flush=True); sys.stdin.read()"
    process = Process("subject", [sys.executable, "-c", code + "; import time; time.sleep(60)"], tmp_path / "log", {})
    try:
        assert until(lambda: process.said() == "hello\n" and len(process.children()) == 1, 30)
        (child,) = process.children()
        assert resident_mib(process.pid) > 1
        assert str(tmp_path / "log") in open_files(process.pid)
        process.signal(signal.SIGSTOP)
        process.stop()
        assert process.exit_code == -signal.SIGTERM
        assert until(lambda: not os.path.exists(f"/proc/{child}/exe"), 30), "its group is gone with it"
    finally:
        process.end_by_force()
    assert resident_mib(process.pid) == 0.0
    assert children_of(process.pid) == []


def test_the_ports_of_connections_are_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket, time; own = socket.create_connection({server.getsockname()!r}); time.sleep(60)"
        process = Process("subject", [sys.executable, "-c", code], tmp_path / "log", {})
        try:
            connection, (_, port) = server.accept()
            with connection:
                assert local_ports(process.pid) == {port}
                assert server.getsockname()[1] in local_ports(os.getpid()), "this end is another process's"
        finally:
            process.end_by_force()
    assert local_ports(process.pid) == set()


@pytest.mark.parametrize("seed", range(5))
def test_damage_is_damage_and_no_more(tmp_path: Path, seed: int) -> None:
    whole = b'{"digest": "sha256:1", "score": 1.0}'
    for harm in (truncate, flip_a_bit):
        path = tmp_path / harm.__name__
        path.write_bytes(whole)
        harm(path, random.Random(seed))
        damaged = path.read_bytes()
        assert damaged != whole
        assert 0 < len(damaged) <= len(whole)
    assert len((tmp_path / "flip_a_bit").read_bytes()) == len(whole)


def test_moments_are_in_order_and_the_same_for_the_same_seed() -> None:
    found = moments(random.Random(1), 300, 20)
    assert found == sorted(set(found)) == moments(random.Random(1), 300, 20)
    assert len(found) == 20 and found[0] >= 1 and found[-1] < 260


def test_what_is_missing_is_said_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NEEDS, "redis", lambda: None)
    monkeypatch.setitem(NEEDS, "root", lambda: "only root may")
    monkeypatch.setitem(NEEDS, "dockerd", lambda: "there is none")
    assert missing(["redis"]) is None
    assert missing(["redis", "root", "dockerd"]) == "only root may; there is none"
