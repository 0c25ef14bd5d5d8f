"""How far an iteration is: a pure fold over what is told of it. Its size does not grow with the number of runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from shared.models import Job, Plan, Receipt, RunResult, Status, Usage
from shared.models.ids import split_of
from shared.statistics import Moments

WINDOW_SECONDS = 60.0
"""The rate is that of the last minute ..."""
WINDOW_RUNS = 10
"""... or, where runs are slow, of the last ten runs."""
SAMPLE_SECONDS = 1.0


@dataclass(frozen=True)
class ScaffoldProgress:
    """One scaffold's runs so far. ``scores`` are those of the split on show; the rest counts all splits."""

    done: int = 0
    seconds: float = 0.0
    """Summed over ``done``."""
    tokens: int = 0
    scores: Moments = field(default_factory=Moments)
    statuses: Mapping[Status, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """An iteration so far. Times are seconds of any one clock."""

    total: int = 0
    split: str = "valid"
    """The split whose scores are on show."""
    repeated: bool = False
    """Whether its examples are run several times: then what is scored so far has no interval, see Moments."""
    started: float = 0.0
    done: int = 0
    """Runs with a committed result, restored ones too."""
    restored: int = 0
    retried: int = 0
    quarantined: int = 0
    cancelled: int = 0
    usage: Usage = field(default_factory=Usage)
    statuses: Mapping[Status, int] = field(default_factory=dict)
    scaffolds: Mapping[str, ScaffoldProgress] = field(default_factory=dict)
    notable: Job | None = None
    """A run worth a look: the first that failed, or else the first."""
    notable_failed: bool = False
    samples: tuple[tuple[float, int], ...] = ((0.0, 0),)
    """(time, runs finished in this session), at least a second apart, as far back as the rate looks."""

    @classmethod
    def start(cls, plan: Plan, now: float) -> Self:
        """Before the first run of ``plan``."""
        splits = {split_of(run_type) for run_type in plan.runs}
        split = next((split for split in ("valid", "test", "train") if split in splits), "valid")
        return cls(
            total=len(plan),
            split=split,
            repeated=any(plan.runs[run_type].repeat for run_type in plan.run_types(split)),
            started=now,
            scaffolds={scaffold_id: ScaffoldProgress() for scaffold_id in plan.scaffolds},
            samples=((now, 0),),
        )

    def with_restored(self, result: RunResult) -> Self:
        """A run that was committed earlier."""
        return replace(self._counted(result.job, Receipt.of(result)), restored=self.restored + 1)

    def with_finished(self, job: Job, receipt: Receipt, now: float) -> Self:
        """A run was committed."""
        return self._counted(job, receipt)._sampled(now)

    def with_retried(self) -> Self:
        """An attempt is made again."""
        return replace(self, retried=self.retried + 1)

    def with_quarantined(self, receipt: Receipt) -> Self:
        """A run will have no result: it was given up, or the experiment was cancelled."""
        if receipt.cancelled:
            return replace(self, cancelled=self.cancelled + 1)
        return replace(self, quarantined=self.quarantined + 1)

    @property
    def remaining(self) -> int:
        """Runs still to come."""
        return max(self.total - self.done - self.quarantined - self.cancelled, 0)

    def rate(self, now: float) -> float | None:
        """Runs finished per second, lately; None where that cannot be said yet."""
        then, count = self.samples[0]
        finished = self.done - self.restored - count
        return finished / (now - then) if finished and now > then else None

    def eta(self, now: float) -> float | None:
        """Seconds until the last run is finished, at the present rate; None where that cannot be said."""
        rate = self.rate(now)
        return self.remaining / rate if rate else None

    def seconds_per_run(self) -> dict[str, float]:
        """Each scaffold's mean seconds per run, where it has any."""
        return {name: one.seconds / one.done for name, one in self.scaffolds.items() if one.done}

    def _counted(self, job: Job, receipt: Receipt) -> Self:
        status = receipt.status
        old = self.scaffolds.get(job.scaffold_id, ScaffoldProgress())
        scored = status.counts and receipt.score is not None and split_of(job.run_type) == self.split
        new = ScaffoldProgress(
            done=old.done + 1,
            seconds=old.seconds + receipt.seconds,
            tokens=old.tokens + receipt.usage.input_tokens + receipt.usage.output_tokens,
            scores=old.scores.add(receipt.score) if scored and receipt.score is not None else old.scores,
            statuses=_one_more(old.statuses, status),
        )
        failed = status is not Status.OK
        take = self.notable is None or (failed and not self.notable_failed)
        return replace(
            self,
            done=self.done + 1,
            usage=self.usage + receipt.usage,
            statuses=_one_more(self.statuses, status),
            scaffolds={**self.scaffolds, job.scaffold_id: new},
            notable=job if take else self.notable,
            notable_failed=self.notable_failed or failed,
        )

    def _sampled(self, now: float) -> Self:
        count = self.done - self.restored
        samples = self.samples
        if now - samples[-1][0] >= SAMPLE_SECONDS:
            samples = (*samples, (now, count))
        while len(samples) > 1 and now - samples[1][0] >= WINDOW_SECONDS and count - samples[1][1] >= WINDOW_RUNS:
            samples = samples[1:]
        return replace(self, samples=samples)


def _one_more(counts: Mapping[Status, int], status: Status) -> dict[Status, int]:
    return {**counts, status: counts.get(status, 0) + 1}
