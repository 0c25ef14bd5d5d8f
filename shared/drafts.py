"""Where attempts work, and the fences that keep those from committing that were given up.

An attempt begins with an empty file of its own, its draft, and then looks whether a fence already forbids it. Its
result is written into the draft, and committed by giving that file the result's name as well. Whoever gives an attempt
up puts up the fence first, and then removes the drafts that are there. So each voided attempt either made its draft
before they were removed, and has nothing to commit any more, or it made it later, and then finds the fence: at whatever
moment its worker was stopped, and for however long.
"""

import errno
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from pydantic import Field

from shared import atomic, fresh
from shared.errors import CorruptFile, InvalidId, Superseded
from shared.models.base import Frozen
from shared.models.ids import check_run_type, check_scaffold_id
from shared.models.job import Job
from shared.models.result import RunResult
from shared.records import seal, validated
from shared.results import Results

FENCE_ADVICE = "Remove it once no worker is at work here."
"""What to do about a damaged fence. A session whose attempt it keeps from beginning replaces it all the same."""


class Turn(NamedTuple):
    """Which attempt of which session: a later session's first comes after every attempt of an earlier one."""

    session: int
    attempt: int


class Fence(Frozen):
    """A job's attempts up to this one, and this one, are void."""

    session: int = Field(ge=1)
    attempt: int = Field(ge=1)

    @property
    def turn(self) -> Turn:
        """The last attempt that is void."""
        return Turn(self.session, self.attempt)


class Draft:
    """The place of its own in which one delivery of an attempt works; its file is gone when the context ends."""

    def __init__(self, path: Path, target: Path, dropped: Path) -> None:
        """``path`` is made, ``target`` is where the result is to be, ``dropped`` the mark of one that did not count."""
        self._path = path
        self._target = target
        self._dropped = dropped
        self._file = atomic.create_file(path)
        self._data = b""
        self._written: atomic.Identity = (0, 0)

    def commit(self, result: RunResult) -> bool:
        """Commit the attempt's result: False where the job has another already. Raises Superseded, OSError."""
        self.write(result)
        return self.publish()

    def write(self, result: RunResult) -> None:
        """The first half of ``commit``. Raises Superseded, OSError."""
        self._data = seal(result)
        try:
            self._written = atomic.fill(self._file, self._data)
        except OSError as error:
            error.filename = str(self._path)
            if error.errno == errno.ESTALE:  # what a server says of a file that another host has removed
                raise self._superseded() from None
            raise

    def publish(self) -> bool:
        """The second half of ``commit``."""
        try:
            first = atomic.link_first(self._path, self._target, self._written, self._data)
        except FileNotFoundError:
            raise self._superseded() from None
        if not first:
            self._mark()
        return first

    def close(self) -> None:
        """Let go of the draft, and remove its file."""
        with suppress(OSError):  # what could not be written before cannot be now
            self._file.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def _superseded(self) -> Superseded:
        self._mark()
        return Superseded()

    def _mark(self) -> None:
        with suppress(OSError):  # it is counted for information alone
            atomic.create_file(self._dropped).close()


class Drafts:
    """The drafts, the fences and the marks of dropped runs of one experiment, in its ``directory`` within ``root``.

    ``attempts/<iteration>/<scaffold_id>/<run_type>.<session>-<attempt>.<token>``,
    ``fences/<iteration>/<scaffold_id>/<run_type>.json`` and ``dropped/<iteration>.<scaffold_id>.<draft's name>``.
    """

    def __init__(self, directory: Path, root: Path, results: Results) -> None:
        self._directory = directory
        self._attempts = directory / "attempts"
        self._fences = directory / "fences"
        self._dropped = directory / "dropped"
        self._root = root
        self._results = results

    def begin(self, job: Job, turn: Turn) -> Draft:
        """The draft of one more delivery of that attempt; raises Superseded where a fence forbids it."""
        draft = self.make(job, turn)
        try:
            self.check(job, turn)
        except BaseException:
            draft.close()
            raise
        return draft

    def make(self, job: Job, turn: Turn) -> Draft:
        """The first half of ``begin``."""
        name = f"{job.run_type}.{turn.session}-{turn.attempt}.{secrets.token_hex(6)}"
        mark = self._dropped / f"{job.iteration}.{job.scaffold_id}.{name}"
        return Draft(self._folder(job) / name, self._results.path(job), mark)

    def check(self, job: Job, turn: Turn) -> None:
        """The second half of ``begin``: it must come after the first."""
        if self._is_void(job, turn):
            raise Superseded()

    def give_up(self, job: Job, turn: Turn) -> None:
        """Void the job's attempts up to that one, and that one: when this returns, none of them can commit any more.

        One may have done so before, so whoever calls this looks for a result afterwards.
        """
        self.forbid(job, turn)
        self.remove(job, turn)

    def forbid(self, job: Job, turn: Turn) -> None:
        """The first half of ``give_up``: put up the fence. One that stands farther on already stays.

        A damaged one is replaced: only who conducts the experiment gives anything up, and never less than before.
        """
        try:
            standing = self.fence(job)
        except CorruptFile:
            standing = None
        if standing is None or standing < turn:
            fence = Fence(session=turn.session, attempt=turn.attempt)
            atomic.write_file(self._fence_file(job), atomic.seal(fence.model_dump(mode="json")))

    def remove(self, job: Job, turn: Turn) -> None:
        """The second half of ``give_up``: it must come after the first."""
        for path, found, drafted in self._of(job):
            if found == job and drafted <= turn:
                path.unlink(missing_ok=True)

    def fence(self, job: Job) -> Turn | None:
        """The last of the job's attempts that are void; None where none is. Raises CorruptFile."""
        path = self._fence_file(job)
        try:
            data = fresh.read_rare(path, self._directory)
        except FileNotFoundError:
            return None
        return validated(Fence, atomic.unseal(data, path, advice=FENCE_ADVICE), path).turn

    def has(self, job: Job, turn: Turn) -> bool:
        """Whether somebody has begun that attempt, and neither ended it in good order nor was given up."""
        return any((found, drafted) == (job, turn) for _, found, drafted in self._of(job))

    def sweep(self, experiment: str) -> None:
        """Remove the drafts of attempts that can commit no more, because another has, or a fence forbids it.

        The others stay: somebody may be at work there. They go when their job is committed or given up. So do those
        behind a damaged fence.
        """
        for iteration in fresh.names_in(self._attempts, self._root):
            if not iteration.isdecimal():
                continue
            for scaffold_id in fresh.names_in(self._attempts / iteration, self._root):
                folder = self._attempts / iteration / scaffold_id
                for path, job, turn in self._drafts(folder, int(iteration), experiment):
                    if self.is_done_with(job, turn):
                        path.unlink(missing_ok=True)

    def dropped(self) -> int:
        """How many runs were done and dropped: their job had a result already, or they had been given up."""
        return len(fresh.names_in(self._dropped, self._root))

    def is_done_with(self, job: Job, turn: Turn) -> bool:
        """Whether that attempt can commit no more, because another has, or a fence forbids it."""
        try:
            return self._results.has(job) or self._is_void(job, turn)
        except CorruptFile:
            return False

    def _is_void(self, job: Job, turn: Turn) -> bool:
        fence = self.fence(job)
        return fence is not None and turn <= fence

    def _of(self, job: Job) -> Iterator[tuple[Path, Job, Turn]]:
        return self._drafts(self._folder(job), job.iteration, job.experiment)

    def _drafts(self, folder: Path, iteration: int, experiment: str) -> Iterator[tuple[Path, Job, Turn]]:
        """The drafts in a scaffold's folder, each with its job and turn; whatever else lies there is left alone."""
        for name in fresh.names_in(folder, self._root):
            run_type, _, rest = name.partition(".")
            session, _, attempt = rest.partition(".")[0].partition("-")
            with suppress(InvalidId):
                check_run_type(run_type), check_scaffold_id(folder.name)
                if session.isdecimal() and attempt.isdecimal():
                    ids = {"iteration": iteration, "scaffold_id": folder.name, "run_type": run_type}
                    yield folder / name, Job(experiment=experiment, **ids), Turn(int(session), int(attempt))

    def _folder(self, job: Job) -> Path:
        return self._attempts / str(job.iteration) / job.scaffold_id

    def _fence_file(self, job: Job) -> Path:
        return self._fences / str(job.iteration) / job.scaffold_id / f"{job.run_type}.json"
