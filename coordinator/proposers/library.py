"""``library``: scaffolds that somebody has written already, one after the other."""

import re
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter

from coordinator.proposers.base import Draft, Order, Proposer, Setting, Tools
from coordinator.proposers.options import Options, entries_of, read_text
from shared.errors import Exhausted, SpecError
from shared.models.base import Frozen

_KEPT = "library.json"
_WHERE = "proposer.path of 'library'"


class LibraryOptions(Options):
    """``path``: the folder of the candidates, counted from the spec's."""

    path: str = Field(min_length=1)


class Candidate(Frozen):
    """A scaffold of the library, and the name it has there."""

    source: str
    code: str


_CANDIDATES = TypeAdapter(tuple[Candidate, ...])


class LibraryProposer(Proposer):
    """The n-th order of the experiment, of whichever kind, gets the n-th candidate.

    Candidates are files ``NAME.py`` and folders ``NAME`` with a ``scaffold.py``, in natural order (``v2`` before
    ``v10``). They are read once, when the experiment is made. What they hold is not looked at before its trial.
    """

    Options = LibraryOptions

    def __init__(self, options: LibraryOptions, tools: Tools) -> None:
        super().__init__(options, tools)
        self._candidates = _CANDIDATES.validate_json(tools.kept[_KEPT])

    @classmethod
    def check(cls, options: LibraryOptions, setting: Setting) -> dict[str, str]:
        folder = setting.folder / Path(options.path).expanduser()
        candidates = read_candidates(folder)
        if not candidates:
            raise SpecError(f"{_WHERE}: there is neither a *.py file nor a folder with a scaffold.py in {folder}.")
        return {_KEPT: _CANDIDATES.dump_json(candidates, indent=2).decode() + "\n"}

    def propose(self, order: Order) -> Draft:
        if order.number >= len(self._candidates):
            raise Exhausted(f"The library holds {len(self._candidates)} scaffolds, and all of them were taken.")
        candidate = self._candidates[order.number]
        return Draft(code=candidate.code, notes={"source": candidate.source})


def read_candidates(folder: Path) -> tuple[Candidate, ...]:
    """The candidates in ``folder``; raises SpecError where one cannot be read."""
    found: list[tuple[list[Any], Path]] = []
    for entry in entries_of(folder, _WHERE):
        code = entry / "scaffold.py" if entry.is_dir() else entry
        if code.suffix == ".py" and code.is_file():
            found.append((natural_key(entry.name), code))
    found.sort(key=lambda pair: pair[0])
    return tuple(
        Candidate(source=_printable(path.relative_to(folder).as_posix()), code=read_text(path, _WHERE))
        for _, path in found
    )


def _printable(name: str) -> str:
    """A file's name as text, whatever bytes it was made of."""
    return name.encode("utf-8", "replace").decode()


def natural_key(name: str) -> list[Any]:
    """Sort key that orders ``v2`` before ``v10``, and is different for different names."""
    parts = re.split(r"([0-9]+)", name)
    return [[(int(part), "") if index % 2 else (0, part.casefold()) for index, part in enumerate(parts)], name]
