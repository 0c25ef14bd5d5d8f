"""The lock of the tables is let go of, whoever else has its file."""

import fcntl
import os
import signal
from pathlib import Path
from typing import Any

from shared.queue import folder_url, make_app


def test_a_child_that_is_forked_under_the_lock_does_not_keep_it(tmp_path: Path) -> None:
    with make_app(folder_url(tmp_path)).connection_for_write() as connection:
        channel: Any = connection.channel()
        with channel._table_lock():
            child = os.fork()
            if child == 0:
                signal.pause()
                os._exit(0)
    try:
        with (tmp_path / "control" / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
