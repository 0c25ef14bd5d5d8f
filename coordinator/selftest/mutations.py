"""The mechanisms that can be switched off, one at a time, to see which rows notice. Used in child processes alone."""

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

from coordinator.selftest.results import RowResult, SeedRun
from shared.errors import Unavailable
from shared.models.base import Frozen


class Mutation(Frozen):
    """One mechanism: what it is, how it is switched off, and the rows that must turn red, by the symptom of its lack.

    A row that fails for anything else (a slow machine, say) proves nothing about the mechanism.
    """

    name: str
    what: str
    switch_off: Callable[[], None]
    rows: tuple[int, ...]
    symptom: Callable[[SeedRun], bool]
    symptom_words: str
    where: tuple[str, ...] = ("coordinator", "worker")
    """The packages whose processes have it."""

    def noticed(self, row: RowResult) -> bool:
        """Whether a row shows the symptom, with one seed at least."""
        return row.not_run is None and any(self.symptom(run) for run in row.runs)

    def missed(self, rows: Iterable[RowResult], wanted: Iterable[int] | None = None) -> list[int]:
        """Those of the wanted rows, all of the mutation's by default, that do not show it, or were not run."""
        red = {row.number for row in rows if self.noticed(row)}
        return [number for number in (self.rows if wanted is None else wanted) if number not in red]


def broken(figure: str, holds: Callable[..., bool]) -> Callable[[SeedRun], bool]:
    """A symptom: the row's own bound is broken, and ``holds`` of the numbers that a pattern finds in its figure."""

    def shown(run: SeedRun) -> bool:
        if run.bound is None or run.bound.holds:
            return False
        found = re.search(figure, run.bound.figure)
        return found is not None and holds(*map(int, found.groups()))

    return shown


def attribute(path: str) -> tuple[Any, str]:
    """The owner and the name of ``module:a.b``; raises Unavailable where this version has none."""
    module, _, names = path.partition(":")
    *owners, name = names.split(".")
    try:
        owner = importlib.import_module(module)
        for one in owners:
            owner = getattr(owner, one)
        getattr(owner, name)
    except (ImportError, AttributeError):
        raise Unavailable(f"This version has no {path}, so that it cannot be switched off.") from None
    return owner, name


def problem(name: str) -> str | None:
    """Why that mechanism cannot be switched off here; None where it can. Tried in a process that does nothing else.

    Without that a row would fail because its processes do not start, and be taken for a proof.
    """
    code = f"from coordinator.selftest.mutations import MUTATIONS; MUTATIONS[{name!r}].switch_off()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return (done.stderr.strip().splitlines() or ["?"])[-1].partition(": ")[2] if done.returncode else None


def replace(path: str, new: Any) -> None:
    """Put something in the place of ``module:a.b``."""
    owner, name = attribute(path)
    setattr(owner, name, new)


def without_link() -> None:
    """A commit replaces what was committed before: ``link`` to a result's name always succeeds."""
    real: Callable[..., None] = os.link

    def link(source: Any, target: Any, *args: Any, **kwargs: Any) -> None:
        if "/results/" not in os.fsdecode(target):
            return real(source, target, *args, **kwargs)
        beside = f"{os.fsdecode(source)}.second"
        real(source, beside, *args, **kwargs)
        try:
            os.replace(beside, target)
        except OSError:  # there may be no such folder yet
            os.unlink(beside)
            raise

    replace("os:link", link)


def without_cap() -> None:
    """A job that our machinery fails is tried again for ever."""
    owner, _ = attribute("coordinator.dispatch:Dispatch.__init__")
    real = owner.__init__

    def begin(self: Any, *args: Any, **kwargs: Any) -> None:
        real(self, *args, **kwargs)
        self.retry_delays = (1.0,) * 1000

    owner.__init__ = begin


def without_fence() -> None:
    """An attempt that was given up commits all the same."""
    replace("shared.drafts:Drafts.give_up", lambda *args, **kwargs: None)
    replace("shared.drafts:Drafts.check", lambda *args, **kwargs: None)


def without_watchdog() -> None:
    """A worker that hears nothing goes on hearing nothing."""
    replace("worker.watchdog:watch_over", lambda *args, **kwargs: None)


def without_lock() -> None:
    """Any number of coordinators drive an experiment."""
    replace("shared.conducting:_locked", lambda *args, **kwargs: True)


MUTATIONS: dict[str, Mutation] = {
    one.name: one
    for one in (
        Mutation(
            name="fence",
            what="an attempt's number as fence",
            switch_off=without_fence,
            rows=(3,),
            symptom=broken(r"(\d+) of (\d+) late commits seen refused", lambda refused, late: refused < late),
            symptom_words="a late commit is not refused",
        ),
        Mutation(
            name="link",
            what="commit by `link`, first wins",
            switch_off=without_link,
            rows=(10,),
            symptom=lambda run: run.doubled > 0,
            symptom_words="a run is counted twice: its committed result changes",
        ),
        Mutation(
            name="cap",
            what="three attempts, then quarantine",
            switch_off=without_cap,
            rows=(12,),
            where=("coordinator",),
            symptom=broken(r"(\d+) kills", lambda kills: kills > 3),
            symptom_words="the poison job kills a fourth time",
        ),
        Mutation(
            name="watchdog",
            what="the watchdog of deaf workers",
            switch_off=without_watchdog,
            rows=(6,),
            where=("worker",),
            symptom=broken(r"at most (\d+) s", lambda seconds: seconds >= 60),
            symptom_words="a worker is deaf for 60 s and more",
        ),
        Mutation(
            name="lock",
            what="the coordinator's lock",
            switch_off=without_lock,
            rows=(9,),
            where=("coordinator",),
            symptom=broken(r"(\d+) of (\d+) refused", lambda refused, tried: refused < tried),
            symptom_words="a second coordinator is not refused",
        ),
    )
}
"""Name -> mutation. The targets are named as strings: this package imports nothing of the worker's."""
