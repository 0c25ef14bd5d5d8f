"""Going on when the broker is back: what a session does while Redis is away."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from celery import Celery

from shared.error_words import causes
from shared.queue import KEEPALIVE, connection_errors, ping, unavailable

_SECONDS = 1.0
"""Between two questions whether it is back."""


class Outage:
    """Says once that Redis is away and once that it is back, however often that is noticed meanwhile."""

    def __init__(
        self, app: Celery, where: str, say: Callable[[str], None], watch: Callable[[], None] = lambda: None
    ) -> None:
        """``app`` must not have connected to its results yet; from now on they wait for Redis as long as it takes.

        ``watch`` is called while Redis is waited for; it raises where there is no sense in waiting on.
        """
        self._app = app
        self._backend = self._patient(app.backend)
        self._where = where
        self._say = say
        self._watch = watch
        self._away = False
        self._ended = False

    def _patient(self, backend: Any) -> Any:
        backend.connparams["socket_keepalive_options"] = KEEPALIVE  # there is no setting for it
        backend.retry_policy = {**backend.retry_policy, "max_retries": None}
        backend.on_connection_error = self._refused
        # Celery connects anew on its own where it was listening, and asks for the results that it was waiting for.
        reconnect = backend.result_consumer._reconnect

        def reconnect_and_say() -> None:
            reconnect()
            self._over()

        backend.result_consumer._reconnect = reconnect_and_say
        return backend

    def ended(self) -> bool:
        """Whether a connection was lost and made anew since this was last asked, and perhaps receipts with it."""
        ended, self._ended = self._ended, False
        return ended

    def wait(self, error: BaseException) -> bool:
        """Return once Redis answers; False at once where ``error`` does not say that it was away.

        Nothing is said where it answers at once: the error may be of a connection that was lost in an outage before.
        Raises BrokerUnavailable where Redis is back and refuses us, and what ``watch`` raises.
        """
        if not self._is_absence(error):
            return False
        while True:
            time.sleep(_SECONDS)
            try:
                ping(self._app)
            except connection_errors(self._app) as still:
                self._noticed(still)
            else:
                self._over()
                return True

    def _is_absence(self, error: BaseException) -> bool:
        """By the first of its causes that tells. A wrong password is no absence, though Redis's library says so."""
        from redis.exceptions import AuthenticationError, AuthorizationError, ResponseError  # slow to import

        for one in causes(error):
            if isinstance(one, (AuthenticationError, AuthorizationError, ResponseError)):
                return False
            if isinstance(one, self._backend.connection_errors):
                return True
        return False

    def _refused(self, max_retries: int | None, error: Exception, intervals: Iterator[float], retries: int) -> float:
        """Celery's hook: a connection could not be made anew; how many seconds to wait before the next try."""
        self._noticed(error)
        return next(intervals)

    def _noticed(self, error: BaseException) -> None:
        """Redis was found away; called again and again while it is."""
        if not self._is_absence(error):
            raise unavailable(self._app, self._where, error) from None
        self._watch()
        if not self._away:
            self._away = True
            reason = str(error).rstrip(".") or type(error).__name__
            self._say(
                f"The broker at {self._where} is away: {reason}. Waiting for it; runs under way go on. (Ctrl-C ends "
                "this session; no finished run is lost.)"
            )

    def _over(self) -> None:
        self._ended = True
        if self._away:
            self._away = False
            self._say(f"The broker at {self._where} is back.")
