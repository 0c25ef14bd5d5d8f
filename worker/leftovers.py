"""Temporary folders that processes of a worker make beside those of its runs, and their removal once they are gone."""

import multiprocessing
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.maker import is_left, this_process
from worker.gateway.socket_dir import remove_stray_sockets


@contextmanager
def pool_folder(worker: str) -> Iterator[Path]:
    """Where the pool of this process makes the files that it shares with its children; removed at the end.

    The library would make a folder of its own, which nobody could tell from those of living processes.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{_prefix(worker)}{this_process()}-"))
    process: Any = multiprocessing.current_process()
    process._config["tempdir"] = str(folder)  # what `multiprocessing.util.get_temp_dir` answers, if it is set
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(worker: str, socket_dir: Path | None, own: bool = False) -> None:
    """Remove what processes of the worker of that name left that are gone, and the sockets that nobody listens on.

    ``own``: also what this process made; it has only just begun, and did so before it replaced itself.
    """
    remove_stray_sockets(socket_dir)
    prefix = _prefix(worker)
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        if is_left(folder.name.removeprefix(prefix).partition("-")[0], own):
            shutil.rmtree(folder, ignore_errors=True)


def _prefix(worker: str) -> str:
    return f"scaffoldry-{worker.replace('_', '-')}_pool_"
