"""Which code a row was run with."""

import hashlib
from functools import lru_cache
from pathlib import Path

import coordinator
import shared

_LENGTH = 12
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
def row_digest(number: int) -> str:
    """A digest of the selftest's own sources that a row's figures come from: all but other rows' faults, and words."""
    from coordinator.selftest.faults import FAULTS

    root = Path(__file__).parent
    own = {kind.__module__.rpartition(".")[2] for kind in FAULTS[number].__mro__}
    found = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        is_part = path.stem in own if path.parent.name == "faults" else path.name not in _WORDS
        if is_part:
            found.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return found.hexdigest()[:_LENGTH]
