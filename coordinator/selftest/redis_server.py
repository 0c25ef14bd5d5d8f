"""The world's own Redis, with an append-only file, so that it can be killed and come back."""

import shutil
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from coordinator.selftest.processes import Process
from shared.errors import BrokerUnavailable

_START_SECONDS = 20.0


class RedisServer:
    """A ``redis-server`` on a free port of the loopback address."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        found = shutil.which("redis-server")
        if found is None:
            raise BrokerUnavailable("There is no redis-server on this machine; install it with: scripts/redis.sh")
        self._program = found
        self._folder = folder
        self._environment = environment
        self.port = free_port()
        folder.mkdir(parents=True)
        self.start()

    @property
    def url(self) -> str:
        """Its URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def process(self) -> Process:
        """The server that runs now."""
        return self._process

    def start(self) -> None:
        """Start it, with what its file remembers; raises BrokerUnavailable where it does not answer."""
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "yes", "dir": self._folder}
        command = [self._program]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        self._process = Process("redis", command, self._folder / "redis.log", self._environment)
        try:
            self._await_answer()
        except BaseException:  # an interruption too: whoever makes a server has no hold of it yet
            self._process.end_by_force()
            raise

    def _await_answer(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self.answers():
            if self._process.exit_code is not None or time.monotonic() > deadline:
                raise BrokerUnavailable(f"redis-server does not answer; its log is {self._process.log}.")
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def hang(self, hanging: bool) -> None:
        """Stop it where it stands, or let it go on."""
        self._process.signal(signal.SIGSTOP if hanging else signal.SIGCONT)

    def stop(self) -> None:
        """End it for good."""
        self._process.stop(10)

    def answers(self) -> bool:
        """Whether it answers, with its data loaded."""
        from redis.exceptions import RedisError

        with suppress(RedisError, OSError):
            return bool(self.client(1.0).ping())
        return False

    def client(self, seconds: float = 10.0) -> Any:
        """A connection of its own, made when first used."""
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return Redis(port=self.port, socket_timeout=seconds, protocol=2, retry=Retry(NoBackoff(), 0))

    def waiting(self, queue: str) -> list[bytes]:
        """The messages that nobody has taken."""
        return list(self.client().lrange(queue, 0, -1))

    def listening_ports(self) -> set[int]:
        """The ports of the clients that wait for a message just now, each blocked in a BRPOP."""
        clients = self.client().client_list()
        blocked = [one for one in clients if one["cmd"] == "brpop" and "b" in one["flags"]]
        return {int(one["addr"].rpartition(":")[2]) for one in blocked}


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
