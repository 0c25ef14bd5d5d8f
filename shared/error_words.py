"""From an error to its sentence and its exit code: the same for the coordinator's commands and the worker's."""

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from typing import IO

from shared.errors import ScaffoldryError

INTERRUPTED = 130
_FULL = (errno.ENOSPC, errno.EDQUOT)


def say(message: str) -> None:
    """Talk: a sentence on stderr, with control characters made visible."""
    from shared.run_log import printable  # what it imports is slow, and help must be fast

    emit(sys.stderr, printable(message))


def emit(stream: IO[str], text: str) -> None:
    """Print lines on a stream of this process, or nowhere once its reader has gone."""
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        discard(stream)


def discard(stream: IO[str]) -> None:
    """Let what was written on a stream whose reader has gone, and all that follows, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def describe(error: BaseException) -> tuple[str, int]:
    """The sentence and the exit code of an error."""
    if isinstance(error, ScaffoldryError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "", INTERRUPTED
    if isinstance(error, ConnectionError | TimeoutError):
        return f"Something that Scaffoldry needs does not answer: {error}. `scaffoldry doctor` says what.", 3
    if isinstance(error, OSError):
        return _refusal(error), 2
    return _bug(error), 1


def is_full(error: OSError) -> bool:
    """Whether the disk, or somebody's share of it, has no room left."""
    return error.errno in _FULL


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it was raised from or in the handling of, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _refusal(error: OSError) -> str:
    """What the file system would not do. The file manager's own errors are sentences already."""
    if error.errno is None:
        return str(error)
    where = error.filename
    name = os.fsdecode(where) if isinstance(where, str | bytes) else str(where) if where else "a file"
    if is_full(error):
        return f"The disk is full: {name} could not be written. Free some space, then try again."
    if error.errno == errno.EROFS:
        return f"{name} cannot be written: its file system is read-only. Choose another --data-dir, or remount it."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{name}: permission denied. Change its owner or its mode, or choose another place."
    if error.errno == errno.ENOENT:
        return f"{name} does not exist."
    return f"{name}: {error.strerror}."


def _bug(error: BaseException) -> str:
    trace = "".join(traceback.format_exception(error))
    summary = f"This is a bug in Scaffoldry: {type(error).__name__}: {str(error)[:500] or 'no message'}."
    if _debug():
        return f"{summary}\n{trace}"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="scaffoldry-bug-", suffix=".txt", delete=False) as file:
            file.write(trace)
    except OSError as refused:
        return f"{summary} Set SCAFFOLDRY_DEBUG=1 to see where ({_refusal(refused)})"
    return f"{summary} Please report it with {file.name}, which says where it happened."


def _debug() -> bool:
    from shared.settings import get_settings

    try:
        return get_settings().debug
    except ScaffoldryError:  # one bad setting must not hide the error at hand
        return False
