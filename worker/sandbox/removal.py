"""Getting rid of a process's containers, however the engine takes it."""

import threading
import time
from concurrent.futures import Future, wait

from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from shared.errors import InfraError
from worker.sandbox.docker import Engine

MOST = 2
"""Dead containers of one process that may be under way to removal while it goes on."""
AT_ONCE = 5.0
"""Seconds that whoever waits for a removal gives the engine; after that it is seen to in the background."""
_PATIENCE = 10.0
"""Seconds to wait for removals that are under way."""
_PAUSE = 3.0
_TIMES_GONE = 4
"""An engine that did not answer may yet make a container it was asked for: it must have been gone so many times."""
_PURSUIT = 3600.0


class Removals:
    """The containers of one process that are to go. What the engine fails to remove is pursued until it is gone.

    A process that ends before that leaves it to those who look for what gone processes have left (worker/orphans.py).
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._under_way: list[Future[None]] = []

    def defer(self, name: str) -> None:
        """Remove a container in the background; wait a while where too many are under way there."""
        self._under_way = [one for one in self._under_way if not one.done()]  # one that failed is pursued
        self._under_way.append(self._engine.later(self._remove, name))
        if len(self._under_way) > MOST:
            wait(self._under_way[:-MOST], _PATIENCE)

    def now(self, name: str) -> None:
        """Remove a container. Raises InfraError where it is not gone by now; it is pursued all the same."""
        try:
            self._engine.remove(name, AT_ONCE)
        except InfraError:
            self.pursue(name)
            raise

    def settle(self) -> None:
        """Return once none is under way. Raises InfraError where one that was could not be removed, or not in time."""
        ended, slow = wait(self._under_way, _PATIENCE)
        self._under_way = list(slow)
        if slow:
            raise InfraError("The Docker engine takes too long to remove a container.")
        for removal in ended:
            removal.result()

    def pursue(self, name: str) -> None:
        """Ask for the removal of a container again and again, as long as the process lives."""
        threading.Thread(target=self._pursue, args=(name,), name="removal", daemon=True).start()

    @retry(retry=retry_if_exception_type(InfraError), stop=stop_after_attempt(3), wait=wait_fixed(0.3), reraise=True)
    def _try(self, name: str) -> None:
        """Engines may find a file system busy that was in use a moment ago."""
        self._engine.remove(name)

    def _remove(self, name: str) -> None:
        try:
            self._try(name)
        except InfraError:
            self.pursue(name)
            raise

    def _pursue(self, name: str) -> None:
        end, gone = time.monotonic() + _PURSUIT, 0
        while gone < _TIMES_GONE and time.monotonic() < end:
            try:
                self._engine.remove(name)
                gone += 1
            except InfraError:
                gone = 0
            time.sleep(_PAUSE)
