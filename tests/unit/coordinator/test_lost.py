"""What is taken for lost, look after look."""

from coordinator.lost import ABSENT_LOOKS, SILENT_LOOKS, Lookout
from shared.leases import Sighting
from shared.models import Job

ONE = (Job(experiment="exp", iteration=0, scaffold_id="0", run_type="valid_0"), 1)
TWO = (Job(experiment="exp", iteration=0, scaffold_id="0", run_type="valid_1"), 1)
WAITING, GONE, ENDED = Sighting(waiting=True), Sighting(waiting=False), Sighting(waiting=False, lease="ended")


def leased(number: int) -> Sighting:
    return Sighting(waiting=False, lease=f"w/1/{number}")


def looks(*sightings: Sighting) -> list[dict[tuple[Job, int], bool]]:
    lookout = Lookout()
    return [lookout.look({ONE: sighting, TWO: WAITING}) for sighting in sightings]


def test_what_waits_is_never_lost() -> None:
    assert looks(*[WAITING] * 100) == [{}] * 100


def test_a_lease_lives_while_its_value_changes_whatever_any_clock_says() -> None:
    assert looks(*(leased(number) for number in range(100))) == [{}] * 100


def test_a_lease_that_stays_as_it_was_is_its_dead_holders() -> None:
    assert looks(leased(6), *[leased(7)] * (SILENT_LOOKS + 1)) == [*[{}] * (SILENT_LOOKS + 1), {ONE: True}]


def test_what_is_nowhere_twice_is_lost_and_nobody_had_begun_it() -> None:
    assert looks(WAITING, *[GONE] * ABSENT_LOOKS) == [*[{}] * ABSENT_LOOKS, {ONE: False}]


def test_leases_that_expired_because_a_clock_was_set_are_renewed_before_they_are_given_up() -> None:
    assert looks(leased(1), GONE, leased(2), GONE, leased(3), GONE, WAITING) == [{}] * 7


def test_a_run_that_ended_and_whose_receipt_does_not_come_was_begun() -> None:
    assert looks(leased(1), *[ENDED] * ABSENT_LOOKS)[-1] == {ONE: True}
    assert looks(leased(1), GONE, *[ENDED] * (ABSENT_LOOKS - 1))[-1] == {ONE: True}, "after Redis lost everything"


def test_a_lease_that_went_with_all_that_redis_held_is_given_as_long_as_one_that_stays_as_it_was() -> None:
    busy = [leased(1), *[GONE] * (SILENT_LOOKS - 1), leased(2), *[GONE] * (SILENT_LOOKS - 1), leased(3)]
    assert looks(*busy) == [{}] * len(busy)
    assert looks(leased(1), *[GONE] * SILENT_LOOKS) == [*[{}] * SILENT_LOOKS, {ONE: True}]
    assert looks(leased(1), WAITING, *[GONE] * ABSENT_LOOKS)[-1] == {ONE: True}, "it was given back"


def test_while_nobody_can_be_seen_nobody_is_given_up() -> None:
    lookout = Lookout()
    for _ in range(100):
        for _ in range(SILENT_LOOKS - 1):
            assert lookout.look({ONE: leased(1), TWO: WAITING}) == {}
        lookout.forget()


def test_what_is_waited_for_no_longer_is_forgotten() -> None:
    lookout = Lookout()
    lookout.look({ONE: GONE})
    lookout.look({})
    assert lookout.look({ONE: GONE}) == {}
