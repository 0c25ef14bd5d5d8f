"""Writing files whole or not at all, and reading them back with their digest checked. Knows no layout."""

import hashlib
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared.errors import CorruptFile

TEMPORARY = ".tmp-"
"""Prefix of names that no reader takes for a file of ours."""


def write_file(path: Path, data: bytes, durable: bool = True) -> None:
    """Write ``data`` to ``path``, replacing what was there in one step. OSError leaves ``path`` as it was.

    What is not ``durable`` survives any end of its process, but not a power cut soon after.
    """
    _write(path, data, os.replace, durable)


def write_first(path: Path, data: bytes) -> bool:
    """Write ``data`` to ``path`` unless it exists already; whether this call was the one that wrote it."""
    try:
        _write(path, data, os.link)
    except FileExistsError:
        return False
    return True


def _write(path: Path, data: bytes, publish: Callable[[Path, Path], None], durable: bool = True) -> None:
    temporary = path.parent / f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(6)}"
    try:
        _write_new(temporary, data, durable)
        publish(temporary, path)
    except OSError as error:
        error.filename = str(path)  # what a person looks for; a full disk names no file at all
        raise
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        sync_directory(path.parent)


def _write_new(path: Path, data: bytes, durable: bool) -> None:
    with os.fdopen(_create(path), "wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(file.fileno(), 0o644)  # whatever the umask: containers and other hosts read it
        if durable:
            os.fsync(file.fileno())


def _create(path: Path) -> int:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o644)
    except FileNotFoundError:
        make_directory(path.parent)
        return os.open(path, flags, 0o644)


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


def canonical_json(value: Any) -> bytes:
    """The same bytes for the same value: sorted keys, two-space indent, UTF-8, no NaN, a newline at the end."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, indent=2, allow_nan=False)
    return (text + "\n").encode("utf-8", errors="replace")


def seal(record: dict[str, Any]) -> bytes:
    """``record`` as canonical JSON with the digest of itself in the field ``digest``."""
    return canonical_json({**record, "digest": _digest(record)})


def unseal(data: bytes, path: Path) -> dict[str, Any]:
    """The record in ``data``; raises CorruptFile naming ``path`` where it does not parse or fails its digest."""
    record = parse_object(data, path)
    digest = record.pop("digest", None)
    if digest != _digest(record):
        raise CorruptFile(f"{path} fails its digest: it is not what was written. Remove it to have the run done again.")
    return record


def parse_object(data: bytes, path: Path) -> dict[str, Any]:
    """The JSON object in ``data``; raises CorruptFile naming ``path`` where there is none."""
    try:
        value = json.loads(data)
    except ValueError as error:
        raise CorruptFile(f"{path} is not valid JSON ({error}); restore it from a copy or remove it.") from None
    if not isinstance(value, dict):
        raise CorruptFile(f"{path} holds no JSON object; restore it from a copy or remove it.")
    return value


def _digest(record: dict[str, Any]) -> str:
    text = json.dumps(record, ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
