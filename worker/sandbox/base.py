"""What a sandbox is: the place where a scaffold runs."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from shared.models import Labels, Limits, RunOutcome, RunRequest, ScaffoldMount

OnOutput = Callable[[str], None]
"""Called with printed text as it comes, in order, at most ``output_limit`` bytes in all."""


class SandboxSession(ABC):
    """A scaffold made ready to run, for one or more runs one after the other."""

    @abstractmethod
    def run(self, request: RunRequest, on_output: OnOutput | None = None) -> RunOutcome:
        """Call ``process_input`` once and say what happened. When it returns, the program is dead.

        Whatever the program does comes back as a RunOutcome. Raises InfraError only where the machinery failed in a
        way that no program can bring about. An exception of the caller's (KeyboardInterrupt, SystemExit) passes
        through, after the program was killed.
        """

    @abstractmethod
    def close(self) -> None:
        """Leave nothing behind: no process, no container, no file. May be called twice.

        What is dead may still be under way to removal; ``Sandbox.settle`` waits for that.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Sandbox(ABC):
    """A way to run untrusted (or, for ``process``, trusted) programs under limits."""

    name: ClassVar[str]
    uses_gateway: ClassVar[bool] = True
    """Whether there is a program that could call a model."""
    has_engine: ClassVar[bool] = False
    """Whether an engine mounts the directories, which may be another host's or know them by other names."""

    @abstractmethod
    def check(self) -> None:
        """Raise SandboxUnavailable, with what to do about it, unless runs can be started here."""

    def host_directory(self, directory: Path, configured: Path | None) -> Path | None:
        """What its engine calls an absolute directory of this process's; None: the same, or there is no engine.

        ``configured`` is what a person has said it is called.
        """
        return None

    @abstractmethod
    def open(self, scaffold: ScaffoldMount, limits: Limits, labels: Labels) -> SandboxSession:
        """A session for one scaffold under ``limits``."""

    def settle(self) -> None:
        """Return once nothing of closed sessions is left. Raises InfraError where something could not be removed."""
        return None

    @abstractmethod
    def reap(self, worker: str, own: bool = False) -> int:
        """Remove what processes of the worker of that name left behind that are gone; how many runs that was.

        A process that lives may be at work, whoever's it is: a session looks into its sandbox before its worker has
        taken a name. ``own``: this process is about to go too. Those of another container look as if they were gone.
        """
