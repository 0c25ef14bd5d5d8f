"""Proof that a fault really happened, by what it left on the volume: logs, marks, and what it refuses."""

import errno
from contextlib import suppress
from pathlib import Path

from coordinator.selftest.witness import LOGS
from shared.models.base import Frozen


class Try(Frozen):
    """One attempt as its run's log tells of it."""

    number: int
    answered: bool = False
    """Whether it ended with an answer of the program's."""
    ends: tuple[str, ...] = ()
    """What its closing lines say, without their mark: none where whoever was at work was killed."""

    @property
    def is_infra_error(self) -> bool:
        """Whether it ended as a failure of our own machinery: one that says nothing about the program.

        A log that says "not counted" at first does so for that, as where the host lost the run; of a result that was
        refused later it tells the result first.
        """
        return bool(self.ends) and self.ends[0].startswith(("infra_error", "not counted."))


def tries(experiment: Path, run_type: str) -> list[Try]:
    """The attempts that a run's log tells of, in order; a run that two are at work on at a time is not told apart."""
    try:
        text = (experiment / LOGS / f"{run_type}.log").read_text(errors="replace")
    except OSError:
        return []
    # A program's own lines cannot begin so: what it prints is indented where it looks like a mark.
    return [_try(section) for section in ("\n" + text).split("\n=== attempt ")[1:]]


def _try(section: str) -> Try:
    lines = section.splitlines()
    ends = tuple(line.removeprefix("=== finished: ") for line in lines if line.startswith("=== finished: "))
    one = Try(number=int(lines[0].split()[0]), ends=ends)
    return one.model_copy(update={"answered": "--- answer" in lines and not one.is_infra_error})


def refused_commits(experiment: Path, run_type: str) -> list[tuple[int, int]]:
    """(session, attempt) of each commit of a run that was tried and refused, by the marks that are left of them."""
    found = []
    for path in (experiment / "dropped").glob(f"*.{run_type}.*-*.*"):
        session, _, attempt = path.name.split(".")[-2].partition("-")
        found.append((int(session), int(attempt)))
    return sorted(found)


def refusal(folder: Path) -> str | None:
    """The name of the error with which a folder refuses a new file of a page; None where it takes one."""
    path = folder / ".probe"
    try:
        with path.open("wb", buffering=0) as file:
            file.write(bytes(4096))
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "?")
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return None
