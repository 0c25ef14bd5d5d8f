"""What the selftest found: a row, seed by seed."""

from shared.models.base import Frozen

SEEDS = 3
"""Seeds that a row must have passed with to be counted on the page."""


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
    runs: tuple[SeedRun, ...] = ()
    not_run: str | None = None
    """Why it could not be run here."""

    @property
    def passed(self) -> bool:
        """Whether it was run and passed with every seed."""
        return self.not_run is None and bool(self.runs) and all(run.passed for run in self.runs)

    @property
    def counts(self) -> bool:
        """Whether it passed with as many seeds as the page asks for."""
        return self.passed and self.seeds >= SEEDS

    @property
    def seeds(self) -> int:
        """How many seeds it was run with."""
        return len({run.seed for run in self.runs})

    def joined(self, earlier: "RowResult") -> "RowResult":
        """With the seeds that only an earlier result has, where that was of the same code and workload."""
        if self._made_with != earlier._made_with or self.not_run is not None:
            return self
        runs = {run.seed: run for run in (*earlier.runs, *self.runs)}
        return self.model_copy(update={"runs": tuple(runs[seed] for seed in sorted(runs))})

    @property
    def _made_with(self) -> tuple[str, str, int, str]:
        return self.code, self.suite, self.jobs, self.sandbox

    @property
    def figure(self) -> str:
        """The figures of the bound, seed by seed, without repetition."""
        figures = [run.bound.figure for run in self.runs if run.bound is not None]
        return "; ".join(dict.fromkeys(figures))
