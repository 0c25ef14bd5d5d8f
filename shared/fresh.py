"""Reading what another host wrote a moment ago, on a volume whose clients remember names and attributes (NFS).

Such a client promises only that *opening* asks the server ("close-to-open"). A ``stat`` may be answered from memory,
and so may a lookup: a name that was looked for in vain is remembered as absent for as long as its directory is not
looked at again. So nothing here concludes from a ``stat``, nor that a file is absent before its directories have been
opened, one after the other.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def freshly(call: Callable[[], T], path: Path, root: Path) -> T:
    """What ``call`` says of ``path``, which lies below ``root``; called again where the first answer may be old.

    Raises what ``call`` raises: FileNotFoundError only once the directories have been looked at again.
    """
    try:
        return call()
    except OSError as error:
        # ESTALE: what was opened has been replaced, and the server no longer has what it was.
        if not isinstance(error, FileNotFoundError) and error.errno != errno.ESTALE:
            raise
    look_again(path, root)
    return call()


def look_again(path: Path, root: Path) -> bool:
    """Have the server asked for each directory from ``root`` down to the one that holds ``path``, as far as it goes.

    False where one of them is not there.
    """
    directory = root
    for part in (*path.relative_to(root).parts[:-1], None):
        try:
            os.close(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except FileNotFoundError:
            return False
        except OSError:
            return True  # the call that follows says it better
        if part is not None:
            directory = directory / part
    return True


def read(path: Path, root: Path) -> bytes:
    """The bytes of ``path``; raises FileNotFoundError where it is really absent."""
    return freshly(path.read_bytes, path, root)


def read_rare(path: Path, root: Path) -> bytes:
    """The same, of a ``path`` that is hardly ever there, nor the directories below ``root``: then it asks for less."""
    if not look_again(path, root):
        raise FileNotFoundError(errno.ENOENT, "No such file", str(path))
    try:
        return path.read_bytes()  # its directories were asked for a moment ago
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
    return read(path, root)


def exists(path: Path, root: Path) -> bool:
    """Whether ``path`` is there and can be read."""
    try:
        freshly(lambda: os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)), path, root)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def names_in(directory: Path, root: Path) -> list[str]:
    """The names in a directory, without hidden ones; none where it does not exist."""
    try:
        names = freshly(lambda: os.listdir(directory), directory, root)
    except FileNotFoundError:
        return []
    return [name for name in names if not name.startswith(".")]
