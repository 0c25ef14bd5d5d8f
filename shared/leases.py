"""Who is at work on a job right now: keys in Redis that a run's process renews for as long as it lives.

A job that was sent and has not come back is either waiting on its queue or being run, and then it has a lease. One
that is neither was lost with whoever had taken it: with a worker that was killed, or whose host is gone.

A lease is alive while its value changes. So nobody's clock is compared with another's, nor believed: that Redis lets
go of a key after a while only clears up, and a clock that is set, on whatever host, ends no lease and prolongs none.
"""

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from celery import Celery

from shared.log import log
from shared.queue import is_redis

if TYPE_CHECKING:
    from redis import Redis


LEASE_SECONDS = 30.0
"""How long after its last renewal a lease still counts."""
RENEWALS = 12
"""How often a lease is renewed in that time."""
KEPT = 10
"""A key that is renewed no more is forgotten after so many times that long."""
PREFIX = "scaffoldry-lease:"
_ENDED = "ended"
_POLL = 0.5


class Sighting(NamedTuple):
    """What is to be seen of a task: whether it waits to be taken, and the value of its lease, where it has one."""

    waiting: bool
    lease: str | None = None

    @property
    def begun(self) -> bool:
        """Whether somebody has it, or had it."""
        return self.lease is not None

    @property
    def absent(self) -> bool:
        """Whether it neither waits nor is being run."""
        return not self.waiting and self.lease in (None, _ENDED)


def leases_of(app: Celery) -> "Leases | None":
    """The leases on an app's broker; None where that is no Redis, and takes nobody's word but the volume's."""
    if not is_redis(app):
        return None
    backend: Any = app.backend
    return Leases(backend.client)


class Leases:
    """The leases on one broker."""

    def __init__(self, client: "Redis", seconds: float = LEASE_SECONDS) -> None:
        self._client = client
        self._seconds = seconds
        self._renewal = seconds / RENEWALS
        self._renewer: Renewer | None = None

    @contextmanager
    def held(self, task_id: str, holder: str) -> Iterator[bool]:
        """Hold the task's lease while the context lasts; False where a living other has it, and is left alone.

        A Redis that is away is no obstacle: what counts is committed. Of a task that was delivered before, it takes
        some seconds to see whether the other is alive.
        """
        name, values = PREFIX + task_id, _values(holder)
        if not self.take(name, next(values)):
            yield False
            return
        renewer = self._living_renewer()
        try:
            renewer.add(name, values)
            yield True
        finally:
            if not renewer.remove(name):
                self._renewer = None  # it hangs, and the next lease is not to wait for that
            self._put(name, _ENDED, kept=1)  # until the receipt has arrived

    def _living_renewer(self) -> "Renewer":
        """The one of this process: a thread takes longer to start than a lease does to take."""
        if self._renewer is None or not self._renewer.is_alive():
            self._renewer = Renewer(self._put, self._renewal)
            self._renewer.start()
        return self._renewer

    def take(self, name: str, value: str) -> bool:
        """Take a lease unless a living other has it: one whose value changes within five renewals."""
        first = now = self._put(name, value, absent=True)
        deadline = time.monotonic() + 5 * self._renewal
        while now == first and now not in (None, _ENDED) and time.monotonic() < deadline:
            time.sleep(min(_POLL, self._renewal))
            now = self._put(name, value, absent=True)
        if now is None:
            return True
        if now not in (first, _ENDED):
            return False
        self._put(name, value)
        return True

    def _put(self, name: str, value: str, *, absent: bool = False, kept: int = KEPT) -> str | None:
        """Set the lease's value, with ``absent`` only where there is none; the value that it had."""
        from redis.exceptions import RedisError, ResponseError  # slow to import, and a folder does without

        try:
            before: Any = self._client.set(name, value, px=int(kept * self._seconds * 1000), nx=absent, get=True)
        except ResponseError as error:
            # It is there: the run goes on, and may commit, but a longer one is taken for lost. That must be told.
            log.error("the broker refuses leases", action="lease_refused", lease=name, error=str(error))
            return None
        except RedisError as error:
            log.warning("could not renew a lease", action="lease_failed", lease=name, error=str(error))
            return None
        return before.decode() if isinstance(before, bytes) else before

    def sightings(self, task_ids: Iterable[str], queue: str) -> dict[str, Sighting]:
        """What is to be seen of each task, on ``queue`` and of its lease. Raises RedisError.

        A task that is just being taken may be absent: only who stays so is lost.
        """
        asked = list(task_ids)
        # In this order: a task that is taken in between is then found at its second place.
        waiting = {_task_id(message) for message in self._client.lrange(queue, 0, -1)}
        rest = [task_id for task_id in asked if task_id not in waiting]
        found: Any = self._client.mget([PREFIX + task_id for task_id in rest]) if rest else []
        leases = {
            task_id: value.decode() if isinstance(value, bytes) else value
            for task_id, value in zip(rest, found, strict=True)
        }
        return {task_id: Sighting(task_id in waiting, leases.get(task_id)) for task_id in asked}


class Renewer(threading.Thread):
    """Renews the leases that are held, every so many seconds, until it is told to end."""

    def __init__(self, put: Callable[[str, str], object], seconds: float) -> None:
        super().__init__(name="leases", daemon=True)
        self._put = put
        self._pause = seconds
        self._held: dict[str, Iterator[str]] = {}
        """The values to come of each lease."""
        self._at_work = threading.Lock()
        self._given_up = False

    def add(self, name: str, values: Iterator[str]) -> None:
        """Renew a lease from now on."""
        self._held[name] = values

    def remove(self, name: str) -> bool:
        """Renew it no more; False where that is not certain, because a renewal hangs. Then this thread ends with it."""
        self._held.pop(name, None)
        # One that is being renewed at this moment would say after us that the lease goes on.
        waited = self._at_work.acquire(timeout=self._pause)
        if waited:
            self._at_work.release()
        else:
            self.end()
        return waited

    def end(self) -> None:
        """Have the thread end when it next looks."""
        self._given_up = True

    def run(self) -> None:
        while not self._given_up:
            time.sleep(self._pause)
            for name in list(self._held):
                with self._at_work:
                    if (values := self._held.get(name)) is not None:
                        self._put(name, next(values))


def _values(holder: str) -> Iterator[str]:
    """A lease's values: each is another, and none is another holder's."""
    token = secrets.token_hex(4)
    return (f"{holder}/{token}/{number}" for number in count())


def _task_id(message: bytes | str) -> str | None:
    """The id of the task that a message is about; None where it is no message of ours, whoever put it there."""
    try:
        return str(json.loads(message)["headers"]["id"])
    except (ValueError, KeyError, TypeError):
        return None
