"""One thing that is not as it should be in an experiment's directory."""

import re
from enum import StrEnum
from typing import Self

from shared.error_words import describe
from shared.errors import DamagedFile, ForeignFile, NewerFile, ScaffoldryError
from shared.models.base import Frozen


class Fault(StrEnum):
    """In what way a file is amiss."""

    DAMAGED = "damaged"
    """It is not what was written."""
    FOREIGN = "foreign"
    """Scaffoldry did not put it there."""
    NEWER = "newer"
    """A newer version wrote it."""
    MISSING = "missing"
    WRONG = "wrong"
    """It says something else than the files it comes from."""
    UNREADABLE = "unreadable"
    INCOMPLETE = "incomplete"
    """Something is still to be done. No fault of the directory, which is whole all the same."""
    LEFTOVER = "leftover"
    """Nothing of the experiment; does no harm."""


class Flaw(Frozen):
    """A file, counted from the experiment's directory, what is wrong with it, and what to do, in a sentence or two."""

    fault: Fault
    file: str
    problem: str

    @property
    def is_problem(self) -> bool:
        """Whether the directory is not whole because of it."""
        return self.fault not in (Fault.INCOMPLETE, Fault.LEFTOVER)

    @classmethod
    def of(cls, error: ScaffoldryError | OSError, file: str, directory: str) -> Self:
        """What reading was refused with. The file is the one that the error's sentence begins with, else ``file``."""
        problem, _ = describe(error)
        named = re.match(rf"{re.escape(directory)}/(\S+?)(:?) (.*)", problem, re.DOTALL)
        if named:
            file, colon, rest = named.groups()
            problem = rest[:1].upper() + rest[1:] if colon else f"It {rest}"
        return cls(fault=_fault(error), file=file, problem=problem)


def _fault(error: ScaffoldryError | OSError) -> Fault:
    if isinstance(error, FileNotFoundError):
        return Fault.MISSING
    if isinstance(error, OSError):
        return Fault.UNREADABLE
    by_class = {DamagedFile: Fault.DAMAGED, ForeignFile: Fault.FOREIGN, NewerFile: Fault.NEWER}
    return next((fault for kind, fault in by_class.items() if isinstance(error, kind)), Fault.WRONG)
