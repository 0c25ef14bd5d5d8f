"""What Prometheus is told of an experiment while it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from math import nan

from prometheus_client import CollectorRegistry, Counter, Gauge

from coordinator.report.base import Reporter, Summary
from shared.models import Job, Plan, Receipt, RunResult, Status, Usage
from shared.models.ids import SPLITS, split_of


@dataclass
class _Tally:
    """One scaffold on one split: its scores so far."""

    planned: int
    scored: int = 0
    total: float = 0.0


class MetricsReporter(Reporter):
    """Keeps the metrics of one session in ``registry``. ``docs/monitoring.md`` says what each means."""

    def __init__(self, experiment: str, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"scaffoldry_{name}", text, ["experiment", *labels], registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"scaffoldry_{name}", text, ["experiment", *labels], registry=registry)

        runs = counter("runs", "Runs that ended in this session, by status.", "status")
        tokens = counter("tokens", "Tokens that runs of this session sent to models and got back.", "direction")
        self._runs = {status: runs.labels(experiment, status.value) for status in Status if status.counts}
        self._tokens = {way: tokens.labels(experiment, way) for way in ("input", "output")}
        self._usd = counter("usd", "What those tokens cost in US dollars, where prices are known.").labels(experiment)
        self._restored = counter("runs_restored", "Runs that an earlier session had ended.").labels(experiment)
        self._retried = counter("retries", "Attempts that failed on our side and were made again.").labels(experiment)
        self._quarantined = counter("quarantined", "Runs given up after their last attempt.").labels(experiment)
        self._dropped = counter(
            "runs_dropped", "Runs of all sessions that were done more than once, and dropped."
        ).labels(experiment)
        self._known_dropped = 0
        self._outstanding = gauge("jobs_outstanding", "Jobs waiting at the broker or running.").labels(experiment)
        self._gauge = gauge
        self._best = gauge("best_score", "Mean score of the best scaffold of those complete on the split.", "split")
        self._experiment = experiment
        self._tallies: dict[tuple[str, str], _Tally] = {}
        self._means: dict[str, dict[str, float]] = {}

    def iteration_started(self, plan: Plan) -> None:
        for split in SPLITS:
            planned = len(plan.run_types(split))
            self._tallies |= {(split, id): _Tally(planned) for id in plan.assigned.get(split, ())}

    def run_restored(self, result: RunResult) -> None:
        self._restored.inc()
        self._score(result.job, result.score)

    def run_finished(self, job: Job, receipt: Receipt) -> None:
        self._runs[receipt.status].inc()
        self._spend(receipt.usage)
        self._score(job, receipt.score)

    def run_retried(self, job: Job, receipt: Receipt) -> None:
        self._retried.inc()
        self._spend(receipt.usage)

    def run_quarantined(self, job: Job, receipt: Receipt) -> None:
        self._quarantined.inc()
        self._spend(receipt.usage)

    def queue_opened(self, waiting: Callable[[], int | None]) -> None:
        def depth() -> float:
            jobs = waiting()
            return nan if jobs is None else jobs

        # Read whenever the page is: nobody else needs to know.
        text = "Jobs of all experiments that wait at the broker."
        self._gauge("queue_depth", text).labels(self._experiment).set_function(depth)

    def outstanding(self, jobs: int) -> None:
        self._outstanding.set(jobs)

    def runs_dropped(self, runs: int) -> None:
        self._dropped.inc(max(0, runs - self._known_dropped))
        self._known_dropped = max(runs, self._known_dropped)

    def say(self, message: str) -> None:
        """Sentences are for people."""

    def tick(self) -> None:
        """Nothing moves between events."""

    def finished(self, summary: Summary) -> None:
        """All was told as it happened."""

    def _spend(self, usage: Usage) -> None:
        self._tokens["input"].inc(usage.input_tokens)
        self._tokens["output"].inc(usage.output_tokens)
        self._usd.inc(usage.usd or 0.0)

    def _score(self, job: Job, score: float | None) -> None:
        split = split_of(job.run_type)
        tally = self._tallies.get((split, job.scaffold_id))
        if tally is None or score is None:
            return
        tally.scored += 1
        tally.total += score
        if tally.scored == tally.planned:
            means = self._means.setdefault(split, {})
            means[job.scaffold_id] = tally.total / tally.scored
            self._best.labels(self._experiment, split).set(max(means.values()))
