"""Asking a provider patiently, and telling its trouble from the program's."""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import tenacity

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
from worker.gateway.budgeted import CallRefused

_logger = logging.getLogger(__name__)

AT_ONCE = 8
"""Calls of one run that may be with the provider at the same time; more wait."""
_FLOOD = 60
"""Calls within a minute from which on a run is itself the reason why it is throttled."""
_PROBE_SHARE, _PROBE_SECONDS = 0.1, 5.0
_PROBE_MESSAGES = (Message(role="user", content="Answer with OK."),)
_GOOD_FOR, _BAD_FOR = 60.0, 5.0
"""Seconds for which the answer to a probe stands."""
_ATTEMPTS = 8
_LONGEST_WAIT = 20.0


class Caller:
    """One run's way to its provider: retries, within the run's deadline, and a probe where they do not help.

    A program can make a provider refuse or fail: with a text too long for it, a request above its limits, a text that
    crashes it. So when a call fails for good, the provider is asked something plain. If it answers that, the call
    itself was at fault (its ProviderError is raised); if not, the provider is out of order or wrongly configured
    (ProviderOutage). A program that keeps the model busy, or floods it, has itself to thank for being turned away.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
        timeout: float | None = None,
        backoff: float = 0.5,
    ) -> None:
        self._provider = provider
        self._probe = ChatRequest(messages=_PROBE_MESSAGES, temperature=temperature, max_tokens=max_tokens or 16)
        self._probe_seconds = min(_PROBE_SECONDS, _PROBE_SHARE * timeout) if timeout else _PROBE_SECONDS
        self._timeout = timeout
        self._deadline: float | None = None
        self._backoff = tenacity.wait_random_exponential(multiplier=backoff, max=_LONGEST_WAIT)
        self._closing = threading.Event()
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._under_way = 0
        self._starts: deque[float] = deque(maxlen=_FLOOD)
        self._probing = threading.Lock()
        self._probed: bool | None = None
        self._probed_until = 0.0

    def call(self, request: ChatRequest) -> Completion:
        """The answer to ``request``.

        Raises ProviderOutage (our trouble), ExperimentBudgetExceeded (nobody's) or another ProviderError (the
        program's).
        """
        if self._deadline is None and self._timeout is not None:
            # From the first call on: a container that was slow to start takes nothing from its program's time.
            self._deadline = time.monotonic() + self._timeout
        with self._turn():
            try:
                return self._retrying()(self._attempt, request)
            except (CallRefused, ProviderOutage):
                raise
            except ProviderError as error:
                failure = error
        if self._closing.is_set() or self._own_doing(failure) or self._answers():
            raise failure
        raise ProviderOutage(str(failure)) from None

    def close(self) -> None:
        """Give up waiting for turns and retries; calls under way are abandoned."""
        self._closing.set()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=self._seconds_left()):
            raise ProviderTimeout("The run's time is over.")
        with self._lock:
            self._under_way += 1
            self._starts.append(time.monotonic())
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
            self._turns.release()

    def _seconds_left(self) -> float:
        """Seconds a try may take. A probe must still fit in after it, except in a call that starts that late."""
        if self._deadline is None:
            return threading.TIMEOUT_MAX
        left = self._deadline - time.monotonic()
        return max(left - self._probe_seconds if left > 2 * self._probe_seconds else left, 0.05)

    def _attempt(self, request: ChatRequest) -> Completion:
        if self._closing.is_set():
            raise ProviderTimeout("The run is over.")
        timeout = None if self._deadline is None else self._seconds_left()
        return self._ask(request.model_copy(update={"timeout": timeout}))

    def _ask(self, request: ChatRequest) -> Completion:
        try:
            return self._provider.complete(request)
        except ProviderError:
            raise
        except Exception as error:
            _logger.exception("the provider raised an unexpected exception")
            raise ProviderError(f"The provider failed with {type(error).__name__}.", 502) from None

    def _retrying(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientProviderError),
            wait=self._wait,
            stop=self._enough,
            sleep=self._sleep,
            reraise=True,
        )

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        wanted = error.retry_after if isinstance(error, TransientProviderError) else None
        return self._backoff(state) if wanted is None else wanted

    def _enough(self, state: tenacity.RetryCallState) -> bool:
        too_late = state.upcoming_sleep >= self._seconds_left()
        return too_late or state.attempt_number >= _ATTEMPTS or self._closing.is_set()

    def _sleep(self, seconds: float) -> None:
        self._closing.wait(seconds)

    def _own_doing(self, failure: ProviderError) -> bool:
        with self._lock:
            now = time.monotonic()
            flooding = len(self._starts) == _FLOOD and now - self._starts[0] < 60
            return (isinstance(failure, ProviderTimeout) and self._under_way > 0) or (
                failure.status == 429 and flooding
            )

    def _answers(self) -> bool:
        """Whether the provider answers a plain question now, or did a moment ago."""
        with self._probing:
            if self._probed is None or time.monotonic() > self._probed_until:
                self._probed = self._ask_plainly()
                self._probed_until = time.monotonic() + (_GOOD_FOR if self._probed else _BAD_FOR)
            return self._probed

    def _ask_plainly(self) -> bool:
        try:
            self._provider.probe(self._probe.model_copy(update={"timeout": self._probe_seconds}))
        except CallRefused:
            raise
        except ProviderError:
            return False
        except Exception:
            _logger.exception("the provider raised an unexpected exception")
            return False
        return True
