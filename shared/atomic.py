"""Writing files whole or not at all, and reading them back with their digest checked. Knows no layout."""

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Container
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from shared.errors import DamagedFile, ForeignFile
from shared.maker import this_writer, writer_lives

TEMPORARY = ".tmp-"
"""Prefix of names that no reader takes for a file of ours."""
Identity = tuple[int, int]
"""Which file of a host's it is, whatever its names."""

RESTORE = "Restore it from a copy or remove it."
RUN_AGAIN = "`scaffoldry resume` sets it aside and has the run done again."
"""What to do about a result or a quarantined run that is not what was written."""

_PREFIX = "sha256:"


def write_file(path: Path, data: bytes, durable: bool = True) -> None:
    """Write ``data`` to ``path``, replacing what was there in one step. OSError leaves ``path`` as it was.

    What is not ``durable`` survives any end of its process, but not a power cut soon after.
    """
    _write(path, data, os.replace, durable)


def write_first(path: Path, data: bytes) -> bool:
    """Write ``data`` to ``path`` unless it exists already; whether this call was the one that wrote it.

    Of several calls, on any hosts, exactly one is, if it lives to hear of it.
    """
    try:
        _write(path, data, os.link)
    except FileExistsError:
        return False
    return True


def _write(path: Path, data: bytes, publish: Callable[[Path, Path], None], durable: bool = True) -> None:
    temporary = _temporary(path.parent)
    try:
        with create_file(temporary) as file:
            written = fill(file, data, durable)
        try:
            publish(temporary, path)
        except (FileExistsError, FileNotFoundError):
            # A network file system sends a request again whose answer was lost, and is then told that the name is taken
            # (by the first) or that there is nothing to rename (any more). What lies at the path says who did it.
            if _identity(path) != written:
                raise
    except OSError as error:
        error.filename = str(path)  # what a person looks for; a full disk names no file at all
        raise
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        sync_directory(path.parent)


def _temporary(folder: Path) -> Path:
    """A new name in a folder, which says who writes there."""
    return folder / f"{TEMPORARY}{this_writer()}-{secrets.token_hex(6)}"


def fill(file: BinaryIO, data: bytes, durable: bool = True) -> Identity:
    """Write ``data`` into a new file of ``create_file``'s; which file it is."""
    file.write(data)
    file.flush()
    os.fchmod(file.fileno(), 0o644)  # whatever the umask: containers and other hosts read it
    if durable:
        os.fsync(file.fileno())
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino


def link_first(draft: Path, path: Path, written: Identity, data: bytes) -> bool:
    """Give a written ``draft`` its name ``path`` too, unless another file has that; whether it has it now.

    The name survives any end of this process, but a power cut only once somebody has called ``sync_directory``.

    ``written`` and ``data``: what ``fill`` wrote there, which must still be open. Raises FileNotFoundError where the
    draft has been removed, by whoever: once it is, it can never be linked.
    """
    try:
        _link(draft, path)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOENT, errno.ESTALE):
            raise
        # As in _write. A number that was this file's may be another's once a server has let go of a removed one.
        if _identity(path) != written or path.read_bytes() != data:
            if error.errno == errno.EEXIST:
                return False
            raise FileNotFoundError(errno.ENOENT, "The draft was removed", str(draft)) from None
    return True


def _link(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileNotFoundError:  # either of the two
        make_directory(path.parent)
        os.link(draft, path)


def _identity(path: Path) -> Identity | None:
    """Which file lies at a path, asked of the server by opening it; None where there is none."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def create_file(path: Path) -> BinaryIO:
    """A new file at ``path``, open for writing, in a directory that is made if need be; raises FileExistsError."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o644)
    except FileNotFoundError:
        make_directory(path.parent)
        descriptor = os.open(path, flags, 0o644)
    return os.fdopen(descriptor, "wb")


def make_directory(path: Path) -> None:
    """Make a directory and those around it that are not there, each durable in the one that holds it."""
    if not path.exists():
        make_directory(path.parent)
        path.mkdir(exist_ok=True)
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_temporaries(directory: Path, until: float, but: Container[str] = ()) -> None:
    """Remove the temporary files below ``directory`` whose writers were killed.

    That of a writer on this host is known. Another's is taken for killed where the file was last changed before
    ``until``, by that volume's clock: a living one's is there for as long as one write takes. Those folders at the top
    that are named in ``but`` are not looked into.
    """
    for folder, folders, names in os.walk(directory):
        if Path(folder) == directory:
            folders[:] = [name for name in folders if name not in but]
        for path in (Path(folder, name) for name in names if name.startswith(TEMPORARY)):
            with suppress(OSError):  # it is no obstacle to anything
                lives = writer_lives(path.name.removeprefix(TEMPORARY).partition("-")[0])
                if lives is False or (lives is None and path.lstat().st_mtime < until):
                    path.unlink()


def volume_time(directory: Path) -> float:
    """What time it is by the clock of the volume that a directory lies on, whatever the host's is. Raises OSError."""
    temporary = _temporary(directory)
    try:
        create_file(temporary).close()
        return temporary.stat().st_mtime
    finally:
        temporary.unlink(missing_ok=True)


def canonical_json(value: Any) -> bytes:
    """The same bytes for the same value: sorted keys, two-space indent, UTF-8, no NaN, a newline at the end."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, indent=2, allow_nan=False)
    return (text + "\n").encode("utf-8", errors="replace")


def seal(record: dict[str, Any]) -> bytes:
    """``record`` as canonical JSON with the digest of itself in the field ``digest``."""
    return canonical_json({**record, "digest": _digest(record)})


def unseal(data: bytes, path: Path, exact: bool = False, advice: str = RUN_AGAIN) -> dict[str, Any]:
    """The record in ``data``. Raises DamagedFile where it does not parse or fails its digest, and ForeignFile where it
    never had one; both name ``path``.

    ``exact``: also where it is written otherwise than ``canonical_json`` does, which its digest does not tell.
    ``advice``: what to do where it is not what was written, in a sentence.
    """
    record = parse_object(data, path, advice)
    altered = exact and not _is_canonical(data, record)
    digest = record.pop("digest", None)
    if digest is None and not _lost_digest(record):
        raise ForeignFile(f"{path} has no digest: it was put there by hand. Take it out of the experiment.")
    if altered or digest != _digest_or_none(record):
        raise DamagedFile(f"{path} fails its digest: it is not what was written. {advice}")
    return record


def parse_object(data: bytes, path: Path, advice: str = RESTORE) -> dict[str, Any]:
    """The JSON object in ``data``; raises DamagedFile naming ``path`` where there is none, with ``advice``."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"{path} is not valid JSON ({error}). {advice}") from None
    if not isinstance(value, dict):
        raise DamagedFile(f"{path} holds no JSON object. {advice}")
    return value


def _lost_digest(record: dict[str, Any]) -> bool:
    """Whether a digest is there under a wrong name of the same length, as where a bit of its name was flipped."""
    others = (value for name, value in record.items() if len(name) == len("digest"))
    return any(isinstance(value, str) and value.startswith(_PREFIX) for value in others)


def _is_canonical(data: bytes, record: dict[str, Any]) -> bool:
    """Whether ``data`` is ``record`` as ``canonical_json`` writes it, whatever the indent (which is slow to make)."""
    text = json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ": "))
    lines = b"".join(line.lstrip(b" ") for line in data.split(b"\n"))
    return data.endswith(b"}\n") and lines == text.encode("utf-8", errors="replace")


def _digest_or_none(record: dict[str, Any]) -> str | None:
    try:
        return _digest(record)
    except ValueError:  # a number that is none any more
        return None


def _digest(record: dict[str, Any]) -> str:
    text = json.dumps(record, ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return _PREFIX + hashlib.sha256(text.encode()).hexdigest()
