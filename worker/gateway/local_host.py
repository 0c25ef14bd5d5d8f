"""Finding this host's server of a local model, or starting it."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import SecretStr, ValidationError

from shared.errors import ModelUnavailable
from shared.models.base import Frozen
from shared.settings import child_environment
from worker.gateway.local_server import ALIVE_LOCK, STATE_FILE, USERS_LOCK, try_lock

_START_SECONDS = 120.0
_POLL_SECONDS = 0.05
_PACKAGE_ROOT = Path(__file__).parents[2]


class ServerState(Frozen):
    """Where the host's server listens, and the key it wants."""

    pid: int
    url: str
    key: SecretStr
    model: str


class LocalHost:
    """This process's claim on the host's server of one GGUF file: while it stands, the server stays.

    The claim is a shared lock on a file, held until ``release`` or the end of the process, however it ends.
    """

    def __init__(self, model: Path, cache_dir: Path, threads: int, linger: float = 5.0) -> None:
        self._model = model
        # The cache may lie in a home directory that several hosts share.
        self.directory = cache_dir / "local" / socket.gethostname() / model.stem
        self._threads = threads
        self._linger = linger
        self._lock = threading.Lock()
        self._users: int | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def server(self) -> ServerState:
        """The server, started first where none is alive. Raises ModelUnavailable with what to do."""
        with self._lock:
            self._prepare_directory()
            try:
                with FileLock(self.directory / "start.lock", timeout=_START_SECONDS):
                    self._claim()
                    return self._running() or self._start()
            except Timeout:
                raise ModelUnavailable(f"Another process is not done with starting it; {self._hint()}") from None

    def alive(self) -> bool:
        """Whether a server runs: it holds its lock as long as it lives."""
        descriptor = os.open(self.directory / ALIVE_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            return not try_lock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Give up the claim; the server ends some seconds after the last one was given up."""
        with self._lock:
            if self._users is not None:
                os.close(self._users)
                self._users = None

    def _prepare_directory(self) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            # The key of the server lies in it.
            self.directory.chmod(0o700)
        except OSError as error:
            raise ModelUnavailable(
                f"The folder {self.directory} cannot be made ({error.strerror}); set SCAFFOLDRY_CACHE_DIR to another."
            ) from None

    def _claim(self) -> None:
        if self._users is None:
            self._users = os.open(self.directory / USERS_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # A server that is about to end holds this lock for itself until it is gone.
        fcntl.flock(self._users, fcntl.LOCK_SH)

    def _running(self) -> ServerState | None:
        return self._read_state() if self.alive() else None

    def _read_state(self) -> ServerState | None:
        try:
            return ServerState.model_validate(json.loads((self.directory / STATE_FILE).read_bytes()))
        except (OSError, ValueError, ValidationError):
            return None

    def _start(self) -> ServerState:
        (self.directory / STATE_FILE).unlink(missing_ok=True)
        command = [sys.executable, "-m", "worker.gateway.local_server", "--model", str(self._model)]
        command += ["--directory", str(self.directory), "--threads", str(self._threads), "--linger", str(self._linger)]
        with (self.directory / "server.log").open("wb") as log:
            # A session of its own: a Ctrl-C meant for one worker must not take the model from the others.
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=_PACKAGE_ROOT,
                env=child_environment(),
                start_new_session=True,
            )
        return self._await_state(self._child)

    def _await_state(self, child: subprocess.Popen[bytes]) -> ServerState:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            # The exit is looked at first: a server that wrote its state and then died is not to be used.
            exit_code = child.poll()
            if exit_code is not None:
                raise ModelUnavailable(f"The server of {self._model.name} ended with code {exit_code}; {self._hint()}")
            state = self._read_state()
            if state is not None:
                return state
            time.sleep(_POLL_SECONDS)
        child.kill()
        raise ModelUnavailable(f"The server of {self._model.name} did not start in time; {self._hint()}")

    def _hint(self) -> str:
        return f"see {self.directory / 'server.log'}."
