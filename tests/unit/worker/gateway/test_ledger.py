"""Counting and recording a run's calls."""

import threading
from types import SimpleNamespace

import pytest

from shared.models.spec import Price
from worker.gateway import ledger as ledger_module
from worker.gateway.base import Completion, Message
from worker.gateway.ledger import ABANDONED, MOST_CALLS, BudgetExceeded, CallRecord, Ledger

HI = (Message(role="user", content="hi"),)
BYE = (Message(role="user", content="bye"),)


def finish(ledger: Ledger, messages: tuple[Message, ...] = HI, tokens: tuple[int, int] = (10, 2)) -> int:
    with ledger.call(messages) as call:
        call.completion = Completion(text="x", input_tokens=tokens[0], output_tokens=tokens[1])
        call.status = 200
        return call.repeat


def test_usage_adds_up_and_costs_what_the_price_says() -> None:
    ledger = Ledger("m", Price(input=2, output=10), None, None)
    finish(ledger)
    finish(ledger, BYE, (5, 1))
    usage = ledger.usage()
    assert (usage.calls, usage.input_tokens, usage.output_tokens) == (2, 15, 3)
    assert usage.usd == pytest.approx((15 * 2 + 3 * 10) / 1e6)


def test_cost_is_unknown_without_a_price() -> None:
    ledger = Ledger("m", None, None, None)
    finish(ledger)
    assert ledger.usage().usd is None


def test_time_is_waited_while_any_call_is_under_way_and_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(ledger_module, "time", SimpleNamespace(monotonic=lambda: now))
    ledger = Ledger("m", None, None, None)
    assert ledger.usage().wait_seconds == 0
    first, second = ledger.call(HI), ledger.call(BYE)
    first.__enter__()
    now = 102
    second.__enter__()
    now = 103
    first.__exit__(None, None, None)
    assert ledger.usage().wait_seconds == 3
    now = 104
    assert ledger.usage().wait_seconds == 4, "the second is under way"
    now = 105
    second.__exit__(None, None, None)
    now = 110
    assert ledger.usage().wait_seconds == 5, "nothing was under way since"
    with ledger.call(HI):
        now = 111
    now = 120
    assert ledger.usage().wait_seconds == 6
    assert [record.seconds for record in ledger.calls] == [3, 3, 1]


def test_repeats_are_counted_by_messages() -> None:
    ledger = Ledger("m", None, None, None)
    assert [finish(ledger), finish(ledger), finish(ledger, BYE), finish(ledger)] == [0, 1, 0, 2]


def test_records_hold_a_digest_and_no_text() -> None:
    ledger = Ledger("m", None, None, None)
    finish(ledger)
    (record,) = ledger.calls
    assert (record.number, record.model, record.status) == (1, "m", 200)
    assert record.messages.startswith("sha256:") and "hi" not in record.model_dump_json().replace("sha256", "")


def test_one_call_too_many() -> None:
    ledger = Ledger("m", None, 1, None)
    finish(ledger)
    assert not ledger.budget_exceeded
    with pytest.raises(BudgetExceeded):
        finish(ledger)
    assert ledger.budget_exceeded
    assert ledger.usage().calls == len(ledger.calls) == 1


def test_a_budget_of_nothing_and_the_bound_of_all_budgets() -> None:
    with pytest.raises(BudgetExceeded):
        finish(Ledger("m", None, 0, None))
    ledger = Ledger("m", None, 10 * MOST_CALLS, None)
    for _ in range(MOST_CALLS):
        finish(ledger)
    with pytest.raises(BudgetExceeded):
        finish(ledger)


def test_the_budget_holds_among_threads() -> None:
    ledger = Ledger("m", None, 50, None)
    refused: list[int] = []

    def work() -> None:
        for _ in range(20):
            try:
                finish(ledger)
            except BudgetExceeded:
                refused.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (ledger.usage().calls, len(refused)) == (50, 110)
    assert sorted(record.number for record in ledger.calls) == list(range(1, 51))


def test_the_end_of_the_run_cuts_calls_off_and_nobody_is_told_later() -> None:
    told: list[CallRecord] = []
    ledger = Ledger("m", None, None, told.append)
    with ledger.call(HI) as call:
        ledger.close()
        call.completion, call.status = Completion(text="x", input_tokens=9), 200
    assert [record.status for record in told] == [ABANDONED]
    assert ledger.calls == tuple(told)
    assert ledger.usage().input_tokens == 0


def test_a_listener_that_fails_changes_nothing() -> None:
    def fail(record: CallRecord) -> None:
        raise OSError("disk full")

    ledger = Ledger("m", None, None, fail)
    finish(ledger)
    assert len(ledger.calls) == 1
