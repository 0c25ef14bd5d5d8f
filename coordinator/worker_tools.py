"""The worker's commands as the coordinator uses them: other processes, never imports."""

import os
import subprocess
import sys
from typing import NoReturn

from shared.settings import child_environment


def worker_command(*arguments: str) -> list[str]:
    """The command line of ``python -m worker ARGUMENTS`` in this Python."""
    return [sys.executable, "-m", "worker", *arguments]


def call_worker(
    *arguments: str, capture: bool = False, quiet: bool = False, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run a worker command to its end; its talk (unless ``quiet``) and data (unless captured) go where ours do."""
    return subprocess.run(
        worker_command(*arguments),
        stdout=subprocess.PIPE if capture else None,
        stderr=subprocess.DEVNULL if quiet else None,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        env=child_environment(**environment),
    )


def become_worker(*arguments: str, **environment: str) -> NoReturn:
    """Turn this process into ``python -m worker ARGUMENTS``: its signals and its exit code are then the worker's."""
    command = worker_command(*arguments)
    os.execve(command[0], command, child_environment(**environment))
