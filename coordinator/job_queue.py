"""What dispatching needs of a queue: jobs out, receipts back."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from shared.leases import Sighting
from shared.models import Job, Receipt


class JobQueue(ABC):
    """The way to the workers. Receipts may be late, doubled or lost: the committed result is the truth."""

    @abstractmethod
    def send(self, job: Job, attempt: int) -> None:
        """Put an attempt on the queue; raises BrokerUnavailable where the broker does not take it."""

    @abstractmethod
    def receive(self, timeout: float) -> list[tuple[Job, int, Receipt]]:
        """What has come back, waiting up to ``timeout`` seconds for the first."""

    @property
    def slots(self) -> int:
        """How many runs the workers known so far can do at once; 0 where none is known."""
        return 0

    def interrupted(self) -> bool:
        """Whether receipts may have been lost on their way since this was last asked."""
        return False

    @property
    def accounts(self) -> bool:
        """Whether ``sightings`` knows."""
        return False

    def sightings(self, attempts: Sequence[tuple[Job, int]]) -> Mapping[tuple[Job, int], Sighting] | None:
        """What is to be seen of each attempt; nothing where that is never known, None where it is not at present.

        One that is just being taken, or whose receipt is on its way, may be absent for a moment.
        """
        return {}

    def waiting(self) -> int | None:
        """How many jobs of all experiments on this volume nobody has taken yet; None where that cannot be known.

        May be called from any thread.
        """
        return None

    @abstractmethod
    def complaint(self) -> str | None:
        """A sentence about why nothing may be coming back (no worker is listening), or None."""
