"""Which code a row was run with."""

import hashlib
import re
from functools import lru_cache
from pathlib import Path

import coordinator
import shared

_LENGTH = 12
_ROOT = Path(__file__).parent
_IMPORTED = re.compile(r"^from coordinator\.selftest\.faults\.(\w+) import ", re.M)
_WORDS = frozenset({"page.py", "book.py", "calls.py", "mutations.py"})
"""Modules of the selftest that have no part in how a row comes out."""


@lru_cache
def code_digest() -> str:
    """A digest of the sources that run: of coordinator, shared and worker, but not of the selftest."""
    root = Path(coordinator.__file__).parent
    packages = (root, Path(shared.__file__).parent, root.parent / "worker")
    found = hashlib.sha256()
    for package in packages:
        for path in sorted(package.rglob("*.py")):
            name = path.relative_to(package).as_posix()
            if not name.startswith(("selftest/", "cli/selftest")):
                found.update(f"{package.name}/{name}\0".encode() + path.read_bytes())
    return found.hexdigest()[:_LENGTH]


@lru_cache
def row_digest(number: int, mutated: bool = False) -> str:
    """A digest of the selftest's own sources that a row's figures come from: all but other rows' faults, and words.

    ``mutated``: of a row that is run without a mechanism, so that what switches it off belongs to it.
    """
    found = hashlib.sha256()
    for path in row_sources(number, mutated):
        found.update(f"{path.relative_to(_ROOT).as_posix()}\0".encode() + path.read_bytes())
    return found.hexdigest()[:_LENGTH]


def row_sources(number: int, mutated: bool = False) -> list[Path]:
    """The files that ``row_digest`` is of."""
    faults = _faults_of(number)
    words = _WORDS - {"mutations.py"} if mutated else _WORDS
    return [
        path
        for path in sorted(_ROOT.rglob("*.py"))
        if (path.stem in faults if path.parent.name == "faults" else path.name not in words)
    ]


def _faults_of(number: int) -> set[str]:
    """The modules of faults/ that a row is made with: its own, and those that this one imports, and so on.

    The package itself, which says what the rows are, is one of them; the rows that it imports for that are not.
    """
    from coordinator.selftest.faults import FAULTS

    found = {"__init__"}
    waiting = [FAULTS[number].__module__.rpartition(".")[2]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _IMPORTED.findall((_ROOT / "faults" / f"{name}.py").read_text())
    return found
