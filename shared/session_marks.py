"""The sessions of an experiment: numbered, each cancelled for ever or not at all."""

from itertools import count
from pathlib import Path

from shared import atomic, fresh
from shared.experiment_folder import ExperimentFolder


class SessionMarks(ExperimentFolder):
    """A mark for each session that began, and one for each that is cancelled."""

    def begin(self) -> int:
        """Note that a session begins; its number, which no other has."""
        # Where this host's view of the directory is old, the next numbers are found to be taken.
        return next(n for n in count(self._last_session() + 1) if atomic.write_first(self._session_file(n), b""))

    def cancel(self) -> int:
        """Mark all sessions so far as cancelled, which they stay for ever: workers drop their jobs; the last number.

        That is a number of our own, so no session begun before this is missed, whatever this host sees of the volume.
        """
        last = self.begin()
        for number in range(last, 0, -1):
            atomic.write_first(self._session_file(number, ".cancelled"), b"")
        return last

    def is_cancelled(self, session: int | None = None) -> bool:
        """Whether that session (None: the last one) is cancelled."""
        number = self._last_session() if session is None else session
        return fresh.exists(self._session_file(number, ".cancelled"), self._root)

    def _last_session(self) -> int:
        return max((int(name) for name in self._names(self._dir / "sessions") if name.isdecimal()), default=0)

    def _session_file(self, number: int, mark: str = "") -> Path:
        return self._dir / "sessions" / f"{number}{mark}"
