"""The memory of cancelled sessions that a worker's processes share."""

import os

from worker.cancelled import CancelledSessions


def test_it_holds_what_was_added_and_nothing_else() -> None:
    sessions = CancelledSessions()
    sessions.add("exp", 1)
    assert ("exp", 1) in sessions
    assert ("exp", 2) not in sessions and ("other", 1) not in sessions


def test_the_oldest_make_room() -> None:
    sessions = CancelledSessions(kept=3)
    for number in (1, 2, 2, 3, 4):
        sessions.add("exp", number)
    assert [number for number in range(6) if ("exp", number) in sessions] == [2, 3, 4]


def test_a_child_sees_what_its_parent_was_told_after_it_was_forked() -> None:
    """As Celery's pool is."""
    sessions = CancelledSessions()
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(told, 1)
        os._exit(0 if ("exp", 1) in sessions and ("exp", 2) not in sessions else 1)
    sessions.add("exp", 1)
    os.write(tell, b".")
    _, status = os.waitpid(child, 0)
    os.close(told)
    os.close(tell)
    assert os.waitstatus_to_exitcode(status) == 0
