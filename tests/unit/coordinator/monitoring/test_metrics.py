"""What Prometheus is told, read off the registry."""

import math
import socket
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from coordinator.monitoring.metrics import MetricsReporter
from coordinator.monitoring.metrics_page import metrics_page
from shared.errors import UsageError
from shared.models import Example, Job, Plan, Receipt, RunResult, Status, Usage

EXPERIMENT = "demo_1"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> MetricsReporter:
    return MetricsReporter(EXPERIMENT, registry)


@pytest.fixture
def value(registry: CollectorRegistry) -> Callable[..., float | None]:
    """A metric's value; None where it has none."""

    def read(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"scaffoldry_{name}", {"experiment": EXPERIMENT, **labels})

    return read


def plan(split: str, *scaffolds: str, examples: int = 2) -> Plan:
    runs = {f"{split}_{index}": Example(id=str(index), input="2+2") for index in range(examples)}
    return Plan(experiment=EXPERIMENT, iteration=0, runs=runs, assigned={split: scaffolds})


def job(scaffold_id: str, run_type: str) -> Job:
    return Job(experiment=EXPERIMENT, iteration=0, scaffold_id=scaffold_id, run_type=run_type)


def receipt(status: Status = Status.OK, score: float | None = 1.0, **fields: object) -> Receipt:
    usage = Usage(calls=1, input_tokens=10, output_tokens=5, usd=0.25)
    return Receipt.model_validate({"status": status, "score": score, "usage": usage, **fields})


def test_runs_are_counted_by_status_from_zero(metrics: MetricsReporter, value) -> None:
    assert value("runs_total", status="ok") == value("runs_total", status="timeout") == 0
    metrics.run_finished(job("0", "valid_0"), receipt())
    metrics.run_finished(job("0", "valid_1"), receipt(Status.TIMEOUT, 0.0))
    metrics.run_finished(job("1", "preflight_0"), receipt(score=None))
    assert (value("runs_total", status="ok"), value("runs_total", status="timeout")) == (2, 1)
    assert value("runs_total", status="infra_error") is None, "one that our side failed did not end"


def test_tokens_and_their_cost_are_counted_of_failed_attempts_too(metrics: MetricsReporter, value) -> None:
    metrics.run_finished(job("0", "valid_0"), receipt())
    metrics.run_finished(job("0", "valid_1"), receipt(usage=Usage(input_tokens=1)))
    metrics.run_retried(job("1", "valid_0"), receipt(Status.INFRA_ERROR, None))
    metrics.run_quarantined(job("1", "valid_0"), receipt(Status.INFRA_ERROR, None))
    assert (value("tokens_total", direction="input"), value("tokens_total", direction="output")) == (31, 15)
    assert value("usd_total") == 0.75
    assert (value("retries_total"), value("quarantined_total")) == (1, 1)


def test_dropped_runs_are_counted_once_however_often_they_are_told(metrics: MetricsReporter, value) -> None:
    assert value("runs_dropped_total") == 0
    for known in (2, 2, 1, 5):  # a host may see an old listing
        metrics.runs_dropped(known)
    assert value("runs_dropped_total") == 5


def test_the_best_is_the_best_complete_mean_of_the_split(metrics: MetricsReporter, value) -> None:
    metrics.iteration_started(plan("valid", "0", "1"))
    metrics.run_finished(job("1", "valid_0"), receipt())
    assert value("best_score", split="valid") is None, "one lucky run is no mean"
    metrics.run_finished(job("0", "valid_0"), receipt(score=0.5))
    metrics.run_finished(job("0", "valid_1"), receipt(score=0.0))
    assert value("best_score", split="valid") == 0.25
    metrics.run_finished(job("1", "valid_1"), receipt(score=0.0))
    assert value("best_score", split="valid") == 0.5
    metrics.iteration_started(plan("test", "1", examples=1))
    metrics.run_finished(job("1", "test_0"), receipt(score=0.125))
    assert (value("best_score", split="valid"), value("best_score", split="test")) == (0.5, 0.125)


def test_a_scaffold_that_is_validated_again_counts_with_its_latest_mean(metrics: MetricsReporter, value) -> None:
    for score in (1.0, 0.0):
        metrics.iteration_started(plan("valid", "0"))
        for index in range(2):
            metrics.run_finished(job("0", f"valid_{index}"), receipt(score=score))
        assert value("best_score", split="valid") == score


def test_what_an_earlier_session_did_counts_for_the_best_alone(metrics: MetricsReporter, value) -> None:
    metrics.iteration_started(plan("valid", "0"))
    for index in range(2):
        fields = {**job("0", f"valid_{index}").model_dump(), "example_id": "0", "status": "ok", "score": 1.0}
        now = datetime.now(UTC)
        metrics.run_restored(RunResult.model_validate({**fields, "started_at": now, "finished_at": now}))
    assert (value("runs_restored_total"), value("runs_total", status="ok")) == (2, 0)
    assert value("best_score", split="valid") == 1.0


def test_jobs_outstanding_are_as_last_told(metrics: MetricsReporter, value) -> None:
    assert value("jobs_outstanding") == 0
    for jobs in (64, 3):
        metrics.outstanding(jobs)
        assert value("jobs_outstanding") == jobs


def test_jobs_that_wait_at_the_broker_are_counted_whenever_the_page_is_read(metrics: MetricsReporter, value) -> None:
    assert value("queue_depth") is None, "there is no broker"
    counts: list[int | None] = [7, 0, None]
    metrics.queue_opened(lambda: counts.pop(0))
    assert (value("queue_depth"), value("queue_depth")) == (7, 0)
    assert math.isnan(value("queue_depth")), "the broker is away"


def test_the_page_shows_the_registry_and_goes_with_its_context(capsys: pytest.CaptureFixture[str]) -> None:
    with metrics_page(0) as registry:
        assert registry is not None
        MetricsReporter(EXPERIMENT, registry)
        said, url = capsys.readouterr().err.split()
        with urllib.request.urlopen(url, timeout=10) as answer:
            page = answer.read().decode()
    assert said == "Metrics:" and url.startswith("http://127.0.0.1:")
    assert 'scaffoldry_runs_total{experiment="demo_1",status="ok"} 0.0\n' in page and "_created" not in page
    with pytest.raises(OSError):
        urllib.request.urlopen(url, timeout=10)


def test_without_a_port_there_is_no_page() -> None:
    with metrics_page(None) as registry:
        assert registry is None


def test_a_port_in_use_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"127.0.0.1:{port}: Address already in use.*--metrics-port"):
            metrics_page(port).__enter__()
