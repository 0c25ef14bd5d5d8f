"""Retries, and whose fault a failure is."""

import threading
import time
from collections.abc import Callable

import pytest

from worker.gateway.base import (
    ChatRequest,
    Completion,
    Message,
    Provider,
    ProviderError,
    ProviderOutage,
    ProviderTimeout,
    TransientProviderError,
)
from worker.gateway.caller import AT_ONCE, Caller

OK = Completion(text="ok")
REQUEST = ChatRequest(messages=(Message(role="user", content="the program's"),))


class Scripted(Provider):
    """Raises or returns what it is told, in order, the last again and again; probes likewise."""

    def __init__(self, *outcomes: Completion | Exception, probe: Exception | None = None) -> None:
        self.outcomes = list(outcomes)
        self.probe_outcome = probe
        self.asked: list[ChatRequest] = []
        self.probed: list[ChatRequest] = []

    def complete(self, request: ChatRequest) -> Completion:
        self.asked.append(request)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def probe(self, request: ChatRequest) -> None:
        self.probed.append(request)
        if self.probe_outcome:
            raise self.probe_outcome


def caller(provider: Provider, timeout: float | None = 60) -> Caller:
    return Caller(provider, temperature=0.5, max_tokens=9, timeout=timeout, backoff=0.001)


def test_transient_failures_are_tried_again() -> None:
    provider = Scripted(TransientProviderError("busy", 429, retry_after=0.0), TransientProviderError("down"), OK)
    assert caller(provider).call(REQUEST) == OK
    assert len(provider.asked) == 3 and not provider.probed


def test_what_the_provider_refuses_is_not_tried_again() -> None:
    provider = Scripted(ProviderError("too long", 400))
    with pytest.raises(ProviderError, match="too long") as raised:
        caller(provider).call(REQUEST)
    assert not isinstance(raised.value, ProviderOutage)
    assert (len(provider.asked), len(provider.probed)) == (1, 1)


@pytest.mark.parametrize(
    "failure",
    [
        TransientProviderError("down", 500),
        TransientProviderError("busy", 429, retry_after=0.0),
        ProviderError("wrong key", 401),
        ProviderError("unknown parameter", 400),
        ProviderTimeout("hangs"),
        ValueError("a bug"),
    ],
)
def test_the_fault_is_the_providers_exactly_if_it_answers_nothing_else(failure: Exception) -> None:
    with pytest.raises(ProviderOutage):
        caller(Scripted(failure, probe=ProviderError("no"))).call(REQUEST)
    with pytest.raises(ProviderError) as raised:
        caller(Scripted(failure)).call(REQUEST)
    assert not isinstance(raised.value, ProviderOutage)


def test_the_probe_is_plain_and_asked_under_the_settings_of_the_spec() -> None:
    provider = Scripted(ProviderError("no"))
    with pytest.raises(ProviderError):
        caller(provider).call(REQUEST)
    (probe,) = provider.probed
    assert (probe.temperature, probe.max_tokens) == (0.5, 9)
    assert probe.messages != REQUEST.messages


def test_a_program_that_sends_bad_requests_again_and_again_costs_one_probe() -> None:
    provider = Scripted(ProviderError("no"))
    calling = caller(provider)
    for _ in range(5):
        with pytest.raises(ProviderError):
            calling.call(REQUEST)
    assert len(provider.probed) == 1


def test_a_program_that_floods_has_itself_to_thank_for_being_throttled() -> None:
    provider = Scripted(*[OK] * 70, TransientProviderError("busy", 429, retry_after=99.0), probe=ProviderError("busy"))
    calling = caller(provider)
    for _ in range(70):
        calling.call(REQUEST)
    with pytest.raises(ProviderError) as raised:
        calling.call(REQUEST)
    assert not isinstance(raised.value, ProviderOutage)


def test_no_wait_goes_beyond_the_runs_time() -> None:
    provider = Scripted(TransientProviderError("busy", 429, retry_after=1000.0))
    with pytest.raises(ProviderError, match="busy"):
        caller(provider).call(REQUEST)
    assert len(provider.asked) == 1


def test_each_try_gets_the_time_that_is_left_less_that_of_a_probe() -> None:
    provider = Scripted(OK)
    caller(provider, timeout=60).call(REQUEST)
    caller(provider, timeout=None).call(REQUEST)
    first, second = (request.timeout for request in provider.asked)
    assert first is not None and 30 < first <= 55
    assert second is None


class Gate(Provider):
    """Keeps every call until told to let go."""

    def __init__(self, then: Callable[[], Completion]) -> None:
        self.opened = threading.Event()
        self.inside = 0
        self.most = 0
        self._lock = threading.Lock()
        self._then = then

    def complete(self, request: ChatRequest) -> Completion:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.opened.wait(20)
        with self._lock:
            self.inside -= 1
        return self._then()


def test_a_run_has_a_bounded_number_of_calls_with_the_provider() -> None:
    gate = Gate(lambda: OK)
    calling = caller(gate)
    threads = [threading.Thread(target=calling.call, args=(REQUEST,)) for _ in range(3 * AT_ONCE)]
    for thread in threads:
        thread.start()
    while gate.inside < AT_ONCE:
        time.sleep(0.01)
    gate.opened.set()
    for thread in threads:
        thread.join(20)
    assert gate.most == AT_ONCE


def test_closing_ends_waits_between_tries() -> None:
    provider = Scripted(TransientProviderError("busy", 429, retry_after=50.0))
    calling = caller(provider, timeout=1000)
    failures: list[Exception] = []

    def call() -> None:
        try:
            calling.call(REQUEST)
        except ProviderError as error:
            failures.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    while not provider.asked:
        time.sleep(0.01)
    calling.close()
    thread.join(20)
    assert len(failures) == 1 and not isinstance(failures[0], ProviderOutage)
