"""The worker's commands as the coordinator uses them: other processes, never imports."""

import subprocess
import sys

from shared.settings import child_environment


def worker_command(*arguments: str) -> list[str]:
    """The command line of ``python -m worker ARGUMENTS`` in this Python."""
    return [sys.executable, "-m", "worker", *arguments]


def call_worker(*arguments: str, capture: bool = False, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a worker command to its end; its talk and (unless captured) its data go where ours do."""
    return subprocess.run(
        worker_command(*arguments),
        stdout=subprocess.PIPE if capture else None,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        env=child_environment(**environment),
    )
