"""A worker of the coordinator's own: a child process and a folder as its broker, so that no server is needed."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coordinator.worker_tools import call_worker, data_dir_variables, worker_command
from shared.errors import Unavailable
from shared.queue import folder_url
from shared.settings import child_environment

_STOP_SECONDS = 30.0
_AT_ONCE_SECONDS = 4.0
"""A pool that Celery stops in a signal handler can keep it waiting; what is killed then is reaped by its labels."""


class EmbeddedWorker:
    """The child process. ``broker_url`` is where it takes its jobs from."""

    def __init__(self, folder: Path, data_dir: Path, concurrency: int, sandbox: str) -> None:
        self.broker_url = folder_url(folder)
        self._sandbox = sandbox
        self._talk = (folder / "worker.log").open("w+b")
        self._trouble = folder / "trouble"
        self._process = subprocess.Popen(
            worker_command(
                *("run", "--parent", str(os.getpid()), "--trouble", str(self._trouble)),
                *("--concurrency", str(concurrency), "--sandbox", sandbox),
            ),
            env=child_environment(SCAFFOLDRY_BROKER_URL=self.broker_url, **data_dir_variables(data_dir)),
            stdin=subprocess.DEVNULL,
            stdout=self._talk,
            stderr=self._talk,
            start_new_session=True,  # a Ctrl-C on the terminal is the coordinator's to act on
        )

    def check(self) -> None:
        """Raise Unavailable, with the last of what it said, if the worker is gone."""
        code = self._process.poll()
        if code is not None:
            raise Unavailable(f"The worker ended (exit code {code}). {self._last_words()}".strip())

    def trouble(self) -> str | None:
        """Why it takes no job at present; None where it does."""
        return read_trouble(self._trouble)

    def stop(self, at_once: bool) -> None:
        """Let the worker finish its runs, or (``at_once``) have it kill them; then make sure that it is gone."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT if at_once else signal.SIGTERM)
        try:
            self._process.wait(_AT_ONCE_SECONDS if at_once else _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # its pool too: it leads a session of its own
            self._process.wait()
        self._talk.close()
        if self._process.returncode != 0:
            # It had no chance to clear up after itself.
            call_worker("reap", "--sandbox", self._sandbox, capture=True, quiet=True)

    def _last_words(self) -> str:
        self._talk.seek(0)
        lines = self._talk.read().decode("utf-8", errors="replace").strip().splitlines()
        return "\n".join(lines[-10:])


def read_trouble(file: Path) -> str | None:
    """What a worker wrote into the file that ``--trouble`` names; None where there is no trouble."""
    try:
        return file.read_bytes().rstrip(b"\0").decode(errors="replace") or None
    except FileNotFoundError:
        return None  # it is starting


@contextmanager
def embedded_worker(data_dir: Path, concurrency: int, sandbox: str) -> Iterator[EmbeddedWorker]:
    """A worker for as long as the context lasts; an exception that leaves it kills the runs under way."""
    folder = Path(tempfile.mkdtemp(prefix="scaffoldry-"))
    try:
        worker = EmbeddedWorker(folder, data_dir, concurrency, sandbox)
        try:
            yield worker
        except BaseException:
            worker.stop(at_once=True)
            raise
        worker.stop(at_once=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
