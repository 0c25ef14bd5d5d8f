"""Finding plug-ins by name: the built-in ones from a table, others through entry points."""

import difflib
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from shared.errors import UnknownName


class Registry:
    """Names of one kind of plug-in.

    ``builtin`` maps a name to ``module:attribute``; it is imported only when asked for. Installed packages add
    names through the entry-point group ``scaffoldry.scorers``, ``scaffoldry.sandboxes``, ...
    """

    def __init__(self, kind: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = f"scaffoldry.{plural(kind)}"
        self._builtin = dict(builtin)

    def names(self) -> list[str]:
        """All known names, sorted."""
        return sorted({*self._builtin, *(point.name for point in entry_points(group=self.group))})

    def get(self, name: str) -> Any:
        """The object registered as ``name``; raises UnknownName, which says which names there are."""
        if name in self._builtin:
            module, _, attribute = self._builtin[name].partition(":")
            return getattr(import_module(module), attribute)
        for point in entry_points(group=self.group, name=name):
            return point.load()
        raise UnknownName(f"There is no {self.kind} named {name!r}{nearest(name, self.names())}")


def nearest(name: str, known: list[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known one, and which there are."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"{hint} Known: {', '.join(known)}." if known else hint


def plural(kind: str) -> str:
    """``scorers`` for ``scorer``, ``sandboxes`` for ``sandbox``."""
    return kind + ("es" if kind.endswith("x") else "s")
