"""The time of sessions, kept with the budget."""

import time
from pathlib import Path
from typing import Any

import pytest

from coordinator.session_clock import SessionClock, budget_watch
from shared.budget import Budget
from shared.file_manager import ExperimentFileManager
from shared.models.spec import BudgetSpec


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def budget(directory: Path, **bounds: Any) -> Budget:
    return Budget(ExperimentFileManager(directory), BudgetSpec(**bounds))


def test_time_adds_up_over_sessions_and_a_killed_one_counts_to_its_last_beat(tmp_path: Path) -> None:
    mine, clock = budget(tmp_path, hours=1), Clock()
    first = SessionClock(mine, clock)
    clock.now += 1800
    first.beat()
    clock.now += 360  # then it is killed
    assert first.hours_used() == pytest.approx(0.6)
    clock.now += 86_400  # a day later
    second = SessionClock(mine, clock)
    assert second.hours_used() == pytest.approx(0.5)
    clock.now += 900
    second.beat()
    assert mine.spent().seconds == pytest.approx(2700)
    assert second.hours_used() == pytest.approx(0.75)


def test_a_beat_that_fails_is_made_up_for(tmp_path: Path) -> None:
    mine, clock = budget(tmp_path, hours=1), Clock()
    session = SessionClock(mine, clock)
    (tmp_path / "budget.json").write_text("{")
    clock.now += 60
    session.beat()
    (tmp_path / "budget.json").unlink()
    clock.now += 60
    session.beat()
    assert mine.spent().seconds == pytest.approx(120)


def test_a_watched_session_notes_its_time_while_it_runs_and_at_its_end(tmp_path: Path) -> None:
    mine = budget(tmp_path, hours=10)
    with budget_watch(mine, beat=0.01) as no_more:
        assert no_more() is None
        for _ in range(2000):
            if mine.spent().seconds > 0:
                break
            time.sleep(0.005)
        noted = mine.spent().seconds
        assert noted > 0
    assert mine.spent().seconds >= noted
    ended = mine.spent()
    time.sleep(0.05)
    assert mine.spent() == ended, "nothing is counted once the session is over"


def test_a_session_beyond_its_hours_is_told(tmp_path: Path) -> None:
    mine = budget(tmp_path, hours=0.5)
    mine.add_time(1800)
    with budget_watch(mine) as no_more:
        assert no_more() == "The budget of 0.5 hours (budget.hours) is used up."


def test_where_no_hours_are_bounded_no_time_is_noted(tmp_path: Path) -> None:
    mine = budget(tmp_path, llm_calls=1)
    with budget_watch(mine, beat=0.001) as no_more:
        assert no_more() is None
        mine.reserve(1)
        assert no_more() == "The budget of 1 model call (budget.llm_calls) is used up."
    assert mine.spent().seconds == 0
    with budget_watch(None) as nothing:
        assert nothing() is None
