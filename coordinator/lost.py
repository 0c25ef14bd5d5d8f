"""Which attempts are lost: by what was seen of them, look after look.

A pure record of looks. It counts them and not seconds, so that neither a clock nor a coordinator that stood still for
a while gives anybody up.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from shared.leases import LEASE_SECONDS, Sighting
from shared.models import Job

LOOK_SECONDS = 3.0
"""Between two looks: longer than a lease's holder takes to renew it."""
ABSENT_LOOKS = 3
"""Looks running that have found an attempt neither waiting nor run: then its message was lost, or its receipt."""
SILENT_LOOKS = math.ceil(LEASE_SECONDS / LOOK_SECONDS)
"""Looks running that have found its lease as it was, or gone from one to the next: then whoever renewed it is gone.

Leases that went with all that Redis held come again when they are renewed, which on a busy host may be late.
"""
UNBEGUN_MOST = 10
"""Losses of a job's messages, before anybody had begun, that cost no try: whatever takes all of them is no accident."""

Attempt = tuple[Job, int]


@dataclass
class _Seen:
    last: Sighting
    absent: int = 0
    silent: int = 0
    begun: bool = False
    held: bool = False
    """Whether it had a lease when it was last found, that had not ended."""


class Lookout:
    """What was seen of the attempts that are waited for."""

    def __init__(self) -> None:
        self._seen: dict[Attempt, _Seen] = {}

    def look(self, sightings: Mapping[Attempt, Sighting]) -> dict[Attempt, bool]:
        """The attempts that are lost, by this look and those before it: whether somebody was seen to have begun each.

        Those that ``sightings`` does not name are waited for no longer.
        """
        self._seen = {attempt: self._next(attempt, sighting) for attempt, sighting in sightings.items()}
        return {attempt: seen.begun for attempt, seen in self._seen.items() if _is_lost(seen)}

    def forget(self) -> None:
        """Nobody could be seen for a while: looks are counted anew. Who had begun is remembered."""
        for seen in self._seen.values():
            seen.absent = seen.silent = 0

    def _next(self, attempt: Attempt, now: Sighting) -> _Seen:
        before = self._seen.get(attempt)
        begun = now.begun or (before is not None and before.begun)
        if now.absent:
            held = before is not None and before.held and now.lease is None
            return _Seen(now, absent=before.absent + 1 if before else 1, begun=begun, held=held)
        unchanged = not now.waiting and before is not None and before.last == now
        silent = before.silent + 1 if before and unchanged else 0
        return _Seen(now, silent=silent, begun=begun, held=now.lease is not None)


def _is_lost(seen: _Seen) -> bool:
    return seen.absent >= (SILENT_LOOKS if seen.held else ABSENT_LOOKS) or seen.silent >= SILENT_LOOKS
