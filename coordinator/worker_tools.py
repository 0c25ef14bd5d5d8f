"""The worker's commands as the coordinator uses them: other processes, never imports."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from shared.host_paths import moved
from shared.settings import child_environment, get_settings


def worker_command(*arguments: str) -> list[str]:
    """The command line of ``python -m worker ARGUMENTS`` in this Python."""
    return [sys.executable, "-m", "worker", *arguments]


def data_dir_variables(data_dir: Path) -> dict[str, str]:
    """The variables of a folder of experiments; what the engine calls the usual one says nothing of one elsewhere."""
    settings = get_settings()
    variables = {"SCAFFOLDRY_DATA_DIR": str(data_dir.absolute())}
    if settings.host_data_dir is not None:
        # Always some path: a variable that is set to nothing would let the usual folder's line in .env win.
        on_host = moved(data_dir, settings.data_dir, settings.host_data_dir)
        variables["SCAFFOLDRY_HOST_DATA_DIR"] = str(on_host)
    return variables


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
