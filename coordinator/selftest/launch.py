"""``python -m coordinator.selftest.launch [CHANGES] -- MODULE ARGUMENTS``: a process of ours with changes in it.

Used for faults that only happen inside a process (a death between a temporary file and its rename), for brokers that
behave badly, and for the mutation run, which switches a mechanism off to see which rows notice.
"""

import os
import runpy
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from shared.atomic import TEMPORARY


def main(arguments: list[str]) -> None:
    """Make the changes, then be the module."""
    cut = arguments.index("--")
    module, *rest = arguments[cut + 1 :]
    for word in arguments[:cut]:
        name, _, value = word.partition("=")
        if name == "without":
            without(value, module)
        elif module in WHERE.get(name, (module,)):
            CHANGES[name](value)
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def command(changes: tuple[str, ...], module: str, *arguments: str) -> list[str]:
    """The command line of a module of ours: as users start it where nothing is changed."""
    if not changes:
        return [sys.executable, "-m", module, *arguments]
    return [sys.executable, "-m", "coordinator.selftest.launch", *changes, "--", module, *arguments]


def deliver(times: str) -> None:
    """Put every message on the queue so many times."""
    from shared import queue

    real: Callable[..., Any] = queue.send_job

    def send(*args: Any, **kwargs: Any) -> Any:
        for _ in range(int(times) - 1):
            real(*args, **kwargs)
        return real(*args, **kwargs)

    queue.send_job = send


def visibility(seconds: str) -> None:
    """Have Redis deliver again what was not acknowledged for so many seconds."""
    from shared import queue

    real: Callable[..., Any] = queue.make_app

    def impatient(app: Any) -> Any:
        # Looked for each second: as it is, that is done when a worker has just begun, and then every 100 s.
        often = {"unacked_restore_interval": 1, "unacked_restore_throttle": 1}
        options = {**(app.conf.broker_transport_options or {}), "visibility_timeout": float(seconds), **often}
        app.conf.broker_transport_options = options
        return app

    impatient(queue.app)
    queue.make_app = lambda *args, **kwargs: impatient(real(*args, **kwargs))


def die_at_publish(number: str) -> None:
    """Be killed at the n-th time that a temporary file is about to get its name."""
    left = int(number)

    def deadly(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(source: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal left
            if TEMPORARY in os.fsdecode(source):
                left -= 1
                if left <= 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return real(source, target, *args, **kwargs)

        return call

    os.link, os.replace, os.rename = deadly(os.link), deadly(os.replace), deadly(os.rename)


def deaf(marker: str) -> None:
    """Once a file of that name is there, and nobody was before us: hear nothing more on the connection of that moment.

    So it has been seen of workers whose broker came back: they live, answer perhaps, and take no job.
    """
    from kombu.transport import redis

    channel: Any = redis.Channel
    real = channel._brpop_start
    struck: list[Any] = []

    def listen(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not struck:
            with suppress(FileNotFoundError):
                os.rename(marker, f"{marker}.taken")
                struck.append(self)
        return None if self in struck else real(self, *args, **kwargs)

    channel._brpop_start = listen


def clock(file: str) -> None:
    """Have this process believe that it is as many seconds later as stand in a file; the monotonic clock goes on.

    By hand, because libfaketime, which moves Redis's, does not get on with how Python sleeps.
    """
    real, known = time.time, [0.0, 0.0]

    def moved() -> float:
        now = time.monotonic()
        if now - known[0] > 0.2:
            known[:] = now, float(Path(file).read_text())
        return real() + known[1]

    time.time = moved
    time.time_ns = lambda: int(moved() * 1e9)


def without(mechanism: str, module: str) -> None:
    """Switch a mechanism off, where it is that module's."""
    from coordinator.selftest.mutations import MUTATIONS

    if module in MUTATIONS[mechanism].where:
        MUTATIONS[mechanism].switch_off()


CHANGES: dict[str, Callable[[str], None]] = {
    "deliver": deliver,
    "visibility": visibility,
    "die-at-publish": die_at_publish,
    "deaf": deaf,
    "clock": clock,
}
WHERE: dict[str, tuple[str, ...]] = {"deaf": ("worker",)}
"""The packages whose processes a change is made in; all that it is asked for, where that is not said."""

if __name__ == "__main__":
    main(sys.argv[1:])
