"""What the selftest found: a row, seed by seed."""

from shared.models.base import Frozen

SEEDS = 3
"""Seeds that a row must have passed with to be counted on the page."""
JOBS = 300
"""Jobs that it must have been run with."""
LONG_SECONDS = 10.0
"""Length, in seconds, of the long ones among them."""
SOAK_MINUTES = 30.0
"""Length, in minutes, of the soak, which decides itself how many jobs it has, and how long they are."""


class Bound(Frozen):
    """A row's own bound: whether it held, and the figure that says so."""

    holds: bool
    figure: str


class SeedRun(Frozen):
    """A row with one seed. ``problems`` are sentences; none: it passed."""

    seed: int
    lost: int = 0
    doubled: int = 0
    same_scores: bool = True
    strays: int = 0
    bound: Bound | None = None
    seconds: float = 0.0
    problems: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all was as it must be."""
        return not self.problems


class RowResult(Frozen):
    """A row with all its seeds, and with which code and workload that was."""

    number: int
    fault: str
    also: str
    code: str
    """Digest of the code that was run."""
    suite: str = ""
    """Digest of the selftest's own code that broke it and looked at it."""
    jobs: int
    sandbox: str
    seconds: float = 0.0
    """Length of its long jobs; 0 for the soak, and where it is not known."""
    minutes: float | None = None
    """Length of the soak; None for all other rows."""
    runs: tuple[SeedRun, ...] = ()
    not_run: str | None = None
    """Why it could not be run here."""

    @property
    def passed(self) -> bool:
        """Whether it was run and passed with every seed."""
        return self.not_run is None and bool(self.runs) and all(run.passed for run in self.runs)

    @property
    def counts(self) -> bool:
        """Whether it passed, and was run as the page asks for."""
        return self.passed and not self.shortcomings

    @property
    def shortcomings(self) -> tuple[str, ...]:
        """In what it was not run as the matrix has it, and with how many seeds, in words."""
        if self.minutes is None:
            length, is_whole = f"long jobs of {self.seconds:g} s", self.seconds == LONG_SECONDS
        else:
            length, is_whole = f"{self.minutes:g} minutes", self.minutes == SOAK_MINUTES
        wanted = {
            f"{self.jobs} jobs": self.jobs == JOBS,
            "without containers": self.sandbox == "docker",
            length: is_whole,
            f"fewer than {SEEDS} seeds": self.seeds >= SEEDS,
        }
        return tuple(words for words, is_so in wanted.items() if not is_so)

    @property
    def seeds(self) -> int:
        """How many seeds it was run with."""
        return len({run.seed for run in self.runs})

    def joined(self, earlier: "RowResult") -> "RowResult":
        """With the seeds that only an earlier result has, where that was of the same code and settings."""
        if self._made_with != earlier._made_with or self.not_run is not None:
            return self
        runs = {run.seed: run for run in (*earlier.runs, *self.runs)}
        return self.model_copy(update={"runs": tuple(runs[seed] for seed in sorted(runs))})

    @property
    def _made_with(self) -> tuple[object, ...]:
        return self.code, self.suite, self.jobs, self.sandbox, self.seconds, self.minutes

    @property
    def figure(self) -> str:
        """The figures of the bound, seed by seed, without repetition."""
        figures = [run.bound.figure for run in self.runs if run.bound is not None]
        return "; ".join(dict.fromkeys(figures))
