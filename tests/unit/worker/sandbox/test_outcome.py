"""Whose failure it is that a program did not begin: the host's, or our machinery's."""

import pytest

from shared.errors import HostTrouble, InfraError
from shared.models import Limits, RunOutcome, Status
from worker.sandbox.exchange import End
from worker.sandbox.outcome import conclude
from worker.sandbox.protocol import READY
from worker.sandbox.stream import ANSWER, Capture

LIMITS = Limits(timeout=2)


def concluded(end: End, answer: bytes = b"", *, killed_from_outside: bool = False) -> RunOutcome:
    capture = Capture(LIMITS)
    if answer:
        capture.feed(ANSWER, answer)
    return conclude(capture, end, 137, LIMITS, oom_killed=False, killed_from_outside=killed_from_outside)


def test_a_runner_that_did_not_start_in_time_is_its_hosts_trouble() -> None:
    with pytest.raises(HostTrouble, match="did not start in time"):
        concluded(End.DEADLINE)


def test_a_runner_that_ended_by_itself_before_it_was_ready_is_no_hosts_trouble() -> None:
    with pytest.raises(InfraError, match="did not start") as caught:
        concluded(End.CLOSED)
    assert not isinstance(caught.value, HostTrouble)


def test_a_program_that_was_ready_and_took_too_long_did_so_itself() -> None:
    assert concluded(End.DEADLINE, READY).status is Status.TIMEOUT


def test_a_container_that_others_killed_is_its_hosts_trouble() -> None:
    with pytest.raises(HostTrouble, match="killed from outside"):
        concluded(End.CLOSED, READY, killed_from_outside=True)
