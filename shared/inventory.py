"""What lies in an experiment's directory: every file, and what it is by its place. Reads no file."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from pathlib import Path

from shared import atomic, fresh
from shared.models.ids import PREFLIGHT, SPLITS
from shared.models.job import Job
from shared.runtime import NAMES


class Kind(StrEnum):
    """What a file is, by its place."""

    RESULT = "result"
    QUARANTINE = "quarantine"
    SCORING = "scoring"
    FENCE = "fence"
    DRAFT = "draft"
    """The place that an attempt under way works in, or one that was killed has left."""
    OURS = "ours"
    """Any other file that Scaffoldry writes."""
    TEMPORARY = "temporary"
    """The beginning of a file that was never finished, where nobody is at work on it any more."""
    NO_RECORD = "no record"
    """A file among the results or the quarantined runs whose name is that of no run."""
    STRANGER = "stranger"
    UNREADABLE = "unreadable"
    """A folder whose names this user may not read."""


@dataclass(frozen=True, slots=True)
class Place:
    """One file. ``path`` counts from the experiment's directory."""

    path: str
    kind: Kind

    def job(self, experiment: str) -> Job:
        """The job whose record lies here, if it is a RESULT or in QUARANTINE; or whose FENCE or DRAFT it is."""
        _, iteration, scaffold_id, name = self.path.split("/")
        return Job(
            experiment=experiment,
            iteration=int(iteration),
            scaffold_id=scaffold_id,
            run_type=name.partition(".")[0],
        )

    def turn(self) -> tuple[int, int]:
        """The session and the number of the attempt whose DRAFT it is."""
        session, _, attempt = self.path.split(".")[-2].partition("-")
        return int(session), int(attempt)


RECORDS = {"results": Kind.RESULT, "quarantine": Kind.QUARANTINE}
"""The folders of records, each ``<iteration>/<scaffold_id>/<run_type>.json``."""

_NUMBER = "(?:0|[1-9][0-9]{0,8})"
_ID = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_RUN = f"(?:{'|'.join((*SPLITS, PREFLIGHT))})_{_NUMBER}"
_RUNTIME = "|".join(map(re.escape, NAMES))
_RECORD = re.compile(rf"(?:{'|'.join(RECORDS)})/{_NUMBER}/{_ID}/{_RUN}\.json")
_SCORING = re.compile(rf"scoring/(?:scores|details)_{_NUMBER}\.json")
_FENCE = re.compile(rf"fences/{_NUMBER}/{_ID}/{_RUN}\.json")
_DRAFT = re.compile(rf"attempts/{_NUMBER}/{_ID}/{_RUN}\.{_NUMBER}-{_NUMBER}\.[0-9a-f]+")
_OURS = re.compile(
    "|".join(
        (
            rf"logs/{_NUMBER}/{_ID}/{_RUN}\.log",
            rf"scaffolds/{_ID}/(?:scaffold\.py|metadata\.json|{_RUNTIME})",
            rf"plans/{_NUMBER}\.json",
            rf"data/(?:{'|'.join(SPLITS)})\.jsonl",
            rf"sessions/{_NUMBER}(?:\.cancelled)?",
            r"metadata\.json|budget\.json|budget\.lock|coordinator\.lock",
            r"scorers/[^/]+\.py|scripts/[0-9a-f]{16}\.yaml",
            r"proposer/[A-Za-z0-9][A-Za-z0-9._-]*",
            rf"dropped/{_NUMBER}\.{_ID}\.{_RUN}\.{_NUMBER}-{_NUMBER}\.[0-9a-f]+",
            r"(?:runs|damaged)/.+",
        )
    )
)


def kind_of(path: str) -> Kind:
    """What the file at ``path``, which counts from the experiment's directory, is."""
    if path.rpartition("/")[2].startswith(atomic.TEMPORARY):
        return Kind.TEMPORARY
    if _RECORD.fullmatch(path):
        return RECORDS[path.partition("/")[0]]
    if _OURS.fullmatch(path):
        return Kind.OURS
    for kind, pattern in ((Kind.SCORING, _SCORING), (Kind.FENCE, _FENCE), (Kind.DRAFT, _DRAFT)):
        if pattern.fullmatch(path):
            return kind
    # Hidden names are other programs': a file manager's, or an NFS client's for a file that was removed while open.
    hidden = path.rpartition("/")[2].startswith(".")
    return Kind.NO_RECORD if path.partition("/")[0] in RECORDS and not hidden else Kind.STRANGER


def walk(directory: Path, folder: str = "") -> Iterator[Place]:
    """Every file below ``directory`` (or below its ``folder`` alone), a folder's names at a time, in their order.

    Nothing where there is no such folder. What is no regular file is a STRANGER, among records NO_RECORD; links are
    followed only where they are the experiment's own folders.
    """
    try:
        with os.scandir(directory / folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    except PermissionError:
        yield Place(folder or ".", Kind.UNREADABLE)
        return
    for entry in entries:
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_dir(follow_symlinks=not folder):
            yield from walk(directory, path)
        elif entry.is_file(follow_symlinks=False):
            yield Place(path, kind_of(path))
        else:
            yield Place(path, Kind.NO_RECORD if path.partition("/")[0] in RECORDS else Kind.STRANGER)


def linked_folders(directory: Path) -> list[str]:
    """Those of the experiment's folders that are symbolic links and must not be: no file could be linked or moved there
    from another disk."""
    return [name for name in ("attempts", *RECORDS, "damaged") if (directory / name).is_symlink()]


def set_aside(directory: Path, place: Place) -> str:
    """Move a file into the experiment's ``damaged/``, where it is kept; its path there, from the directory.

    Raises OSError where it cannot be moved; then it lies where it did.
    """
    source = directory / place.path
    for number in count(1):
        name = f"damaged/{place.path}" + (f".{number}" if number > 1 else "")
        target = directory / name
        if not fresh.exists(target, directory.parent):
            break
    atomic.make_directory(target.parent)
    os.rename(source, target)
    atomic.sync_directory(target.parent)
    atomic.sync_directory(source.parent)
    return name


def set_aside_run_types(directory: Path, iteration: int, scaffold_id: str) -> set[str]:
    """The run types of a scaffold whose results were moved into ``damaged/``. Raises OSError."""
    folder = directory / "damaged" / "results" / str(iteration) / scaffold_id
    try:
        return {name.partition(".")[0] for name in os.listdir(folder)}
    except FileNotFoundError:
        return set()
