"""What Flower shows of a job."""

from typing import Any

import pytest
from celery.events.state import Task
from celery.utils.saferepr import saferepr

from coordinator.monitoring.task_words import format_task
from shared.models import Receipt, Status, Usage

LONGEST_SHOWN = 1024
"""Characters of what a task returned that Celery puts into its event."""


def shown(receipt: Receipt) -> Any:
    """What the page shows of a receipt that came as the event of a worker."""
    result = saferepr(receipt.model_dump(mode="json"), LONGEST_SHOWN)
    return format_task(Task(uuid="x", result=result)).result


@pytest.mark.parametrize(
    ("receipt", "words"),
    [
        (Receipt(status=Status.OK, score=1.0, seconds=0.42, worker="lab2"), "ok, score 1.000, 0.42 s"),
        (Receipt(status=Status.OK, seconds=3.0, usage=Usage(calls=1, usd=0.1)), "ok, no score, 3 s"),
        (Receipt(status=Status.TIMEOUT, score=0.0, seconds=120.04), "timeout, score 0.000, 2 min"),
        (
            Receipt(status=Status.INFRA_ERROR, error_message="The engine 'went' away.\nTwice."),
            "infra_error, no score, 0 s: The engine 'went' away. Twice.",
        ),
        (Receipt(status=Status.INFRA_ERROR, cancelled=True, error_message="It was cancelled."), "cancelled"),
    ],
)
def test_a_result_reads_status_score_and_seconds(receipt: Receipt, words: str) -> None:
    assert shown(receipt) == words


@pytest.mark.parametrize("result", [None, "", "None", "{'pong': 1}", "{'status': 'ok', 'score'", "[" * 5000, "\0"])
def test_what_is_no_receipt_is_shown_as_it_is(result: str | None) -> None:
    assert format_task(Task(uuid="x", result=result)).result == result


def test_the_longest_receipt_is_read_whole() -> None:
    usage = Usage(calls=10**9, input_tokens=10**12, output_tokens=10**12, wait_seconds=1 / 3 * 10**9, usd=1 / 3 * 10**9)
    receipt = Receipt(
        status=Status.BUDGET_EXCEEDED,
        score=-1 / 3 * 10**-9,
        seconds=10**6 + 1 / 3,
        attempt=10**6,
        worker="w" * 64,
        usage=usage,
        error_message="e" * 500,
        slots=1024,
    )
    assert shown(receipt).startswith("budget_exceeded, score -3.333e-10, 11 d 13 h: eee")


def test_a_receipt_that_is_cut_off_still_begins_with_its_status() -> None:
    cut = shown(Receipt(status=Status.INFRA_ERROR, error_message="'" * 500))
    assert cut.startswith("{'status': 'infra_error', 'score': None, 'seconds': 0.0")
