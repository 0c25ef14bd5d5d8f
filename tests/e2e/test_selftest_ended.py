"""A selftest that is told to end leaves no process and no folder behind."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = [pytest.mark.redis]
_WORDS = ("selftest", "--rows", "9", "--seeds", "1", "--jobs", "20", "--sandbox", "process")


def processes_of(folder: Path) -> Iterator[int]:
    """Those that were started with files in a folder, or work in it."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                seen = (entry / "environ").read_bytes() + os.fsencode(os.readlink(entry / "cwd"))
                if os.fsencode(folder) in seen:
                    yield int(entry.name)


def test_nothing_is_left_of_a_selftest_that_is_told_to_end() -> None:
    with tempfile.TemporaryDirectory() as name:  # with a short path, for sockets
        folder = Path(name)
        environment = {**os.environ, "TMPDIR": name, "PYTHONPATH": str(ROOT)}
        selftest = subprocess.Popen(
            [sys.executable, "-m", "coordinator", *_WORDS], env=environment, stderr=subprocess.PIPE, text=True
        )
        try:
            deadline = time.monotonic() + 60
            while not list(folder.glob("selftest-*/*/logs/*-w1.log")):
                assert selftest.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)
            assert len(set(processes_of(folder))) >= 4, "the selftest, Redis and two workers"
            selftest.send_signal(signal.SIGTERM)
            _, said = selftest.communicate(timeout=120)
        finally:
            selftest.kill()
        assert selftest.returncode == 130, said
        assert "Interrupted" in said
        assert list(processes_of(folder)) == []
        assert list(folder.iterdir()) == []
