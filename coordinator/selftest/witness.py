"""What lies in an experiment's directory, read by eyes of the selftest's own.

This is the one module beside the file manager that knows where things lie, on purpose: who reads only through the code
that is on trial shares its mistakes. It changes nothing.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import Field

from shared.atomic import TEMPORARY
from shared.models.base import Frozen

LOGS = "logs/0/0"
RESULTS = "results/0/0"
DAMAGED = "damaged"
"""What was found damaged, and set aside."""
SEALED = ("results", "quarantine")
_RUN = re.compile(r"(?<=[/.])valid_\d+")


class Ledger(Frozen):
    """What an experiment came to. ``results`` has what counts of each committed run; digests are of files' bytes."""

    results: dict[str, dict[str, Any]]
    """Run type -> what a result says of the program, without times and places."""
    attempts: dict[str, int]
    quarantined: tuple[str, ...]
    scoring: dict[str, str]
    """File of ``scoring/`` -> digest."""
    counted: int
    """Runs that the details count."""
    tally: dict[str, Any] = Field(default_factory=dict)
    """What the details say of the one scaffold's validation."""
    mean: float | None = None
    """What the scores say of it."""
    torn: tuple[str, ...]
    """Files that do not parse or fail their digest."""
    temporary: tuple[str, ...]
    """Files that only an attempt under way may have."""


TELLING = ("example_id", "status", "score", "output", "feedback")


def read_ledger(experiment: Path) -> Ledger:
    """Read a directory as it stands."""
    results = {path.stem: _json(path) for path in _files(experiment / RESULTS)}
    scoring = {path.name: _digest(path) for path in _files(experiment / "scoring")}
    return Ledger(
        results={run: {name: one.get(name) for name in TELLING} for run, one in results.items()},
        attempts={run: int(one.get("attempt", 0)) for run, one in results.items()},
        quarantined=tuple(path.stem for path in _files(experiment / "quarantine/0/0")),
        scoring=scoring,
        counted=_counted(experiment / "scoring" / "details_0.json"),
        tally=_json(experiment / "scoring" / "details_0.json").get("splits", {}).get("valid", {}).get("0", {}),
        mean=_json(experiment / "scoring" / "scores_0.json").get("valid", {}).get("0"),
        torn=tuple(torn_files(experiment)),
        temporary=tuple(temporary_files(experiment)),
    )


def find_experiments(data_dir: Path) -> list[Path]:
    """The experiments of a folder that have begun."""
    return sorted(path.parent for path in data_dir.glob("*/metadata.json"))


def committed(experiment: Path) -> dict[str, Path]:
    """Run type -> file of each committed result."""
    return {path.stem: path for path in _files(experiment / RESULTS)}


def is_committed(experiment: Path, run_type: str) -> bool:
    """Whether a run has a committed result."""
    return (experiment / RESULTS / f"{run_type}.json").exists()


def torn_files(experiment: Path) -> Iterator[str]:
    """The files of an experiment that do not hold what was written, by their paths in it."""
    for path in sorted(experiment.rglob("*.json")):
        name = path.relative_to(experiment)
        if path.name.startswith(".") or name.parts[0] == DAMAGED:
            continue
        with suppress(FileNotFoundError):
            try:
                record = json.loads(path.read_bytes())
            except ValueError:
                yield str(name)
                continue
            if name.parts[0] in SEALED and not is_sealed(record):
                yield str(name)


def is_whole(data: bytes) -> bool:
    """Whether bytes are a record that carries the digest of itself."""
    try:
        return is_sealed(json.loads(data))
    except ValueError:
        return False


def is_sealed(record: Any) -> bool:
    """Whether a record carries the digest of itself."""
    if not isinstance(record, dict):
        return False
    rest = {name: value for name, value in record.items() if name != "digest"}
    text = json.dumps(rest, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return record.get("digest") == "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def temporary_files(experiment: Path) -> Iterator[str]:
    """What is left of writes that never came to their end, and drafts of attempts."""
    for path in sorted(experiment.rglob("*")):
        inside = path.relative_to(experiment)
        if path.name.startswith(TEMPORARY) or (inside.parts[0] == "attempts" and path.is_file()):
            yield str(inside)


def run_of_path(path: str, data_dir: Path) -> str | None:
    """The run that a file of an experiment belongs to: its log, or a draft; None where it is no run's."""
    if not path.startswith(f"{data_dir}/"):
        return None
    found = _RUN.search(path.removeprefix(f"{data_dir}/"))
    return found[0] if found else None


def starts(experiment: Path, run_type: str) -> list[tuple[int, str]]:
    """(attempt, worker) of each start of a run that its log tells of, in order."""
    found = []
    with suppress(OSError):
        lines = (experiment / LOGS / f"{run_type}.log").read_text(errors="replace").splitlines()
        for before, line in pairwise(lines):
            words = line.split()
            if before.startswith("=== run: ") and line.startswith("=== attempt ") and len(words) > 4:
                found.append((int(words[2]), words[4].rstrip(",")))
    return found


def started_runs(experiment: Path) -> list[str]:
    """The runs that have a log."""
    return [path.stem for path in (experiment / LOGS).glob("*.log")]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))


def _json(path: Path) -> dict[str, Any]:
    with suppress(ValueError, OSError):
        record = json.loads(path.read_bytes())
        return record if isinstance(record, dict) else {}
    return {}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _counted(details: Path) -> int:
    splits = _json(details).get("splits", {})
    return sum(count for split in splits.values() for part in split.values() for count in part["statuses"].values())
