"""The fence: of all that are at work on a job one commits at most, and none that was given up before."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.drafts import Draft, Drafts, Turn
from shared.errors import CorruptFile, Superseded
from shared.models import Job, RunResult
from shared.results import Results
from tests.unit.shared.test_file_manager import result

JOB = result().job
MOST_ATTEMPTS = 3


class Story:
    """A coordinator and the workers it has sent an attempt to, each of which goes on one step when it is told to.

    Attempt ``n`` is delivered ``deliveries[n - 1]`` times.
    """

    def __init__(self, directory: Path, deliveries: tuple[int, ...]) -> None:
        self.results = Results(directory / "results", directory.parent)
        self.drafts = Drafts(directory, directory.parent, self.results)
        self.deliveries = deliveries
        self.committed: list[RunResult] = []
        self.refused: list[int] = []
        self.late: list[int] = []
        """The attempts that committed after they had been given up."""
        self.void = 0
        """Up to which attempt all were given up, and that is done with."""
        self.coordinator = self.coordinate()
        self.actors: list[Iterator[None]] = []

    def deliver(self, attempt: int) -> None:
        self.actors += [self.work(attempt, number) for number in range(self.deliveries[attempt - 1])]

    def work(self, attempt: int, delivery: int) -> Iterator[None]:
        turn, outcome = Turn(1, attempt), result(attempt=attempt, worker=f"{attempt}-{delivery}")
        draft: Draft | None = None
        try:
            draft = self.drafts.make(JOB, turn)
            yield
            self.drafts.check(JOB, turn)
            yield
            draft.write(outcome)
            yield
            voided = attempt <= self.void
            if draft.publish():
                self.committed.append(outcome)
                self.late += [attempt] if voided else []
            yield
        except Superseded:
            self.refused.append(attempt)
        finally:
            if draft is not None:
                draft.close()

    def coordinate(self) -> Iterator[None]:
        for attempt in range(1, MOST_ATTEMPTS + 1):
            self.deliver(attempt)
            yield
            self.drafts.forbid(JOB, Turn(1, attempt))
            yield
            self.drafts.remove(JOB, Turn(1, attempt))
            self.void = attempt
            yield
            if self.results.load(JOB) is not None:
                return  # it counts after all
            assert not self.committed, "nothing was found, so nothing may have been committed"
            yield

    def play(self, turns: list[tuple[int, int]]) -> None:
        """Have who is named go on by so many steps, in that order; then all that are left, the coordinator first."""
        self.actors = [self.coordinator]
        for who, steps in turns:
            for _ in range(steps):
                self.step(self.actors[who % len(self.actors)])
        for actor in self.actors:  # grows meanwhile
            while self.step(actor):
                pass

    @staticmethod
    def step(actor: Iterator[None]) -> bool:
        return next(actor, "ended") != "ended"


@settings(max_examples=100)
@given(
    deliveries=st.tuples(*[st.integers(1, 2)] * MOST_ATTEMPTS),
    turns=st.lists(st.tuples(st.integers(0, 2 * MOST_ATTEMPTS), st.integers(1, 4)), min_size=4, max_size=20),
)
def test_whatever_the_order_one_commits_at_most_and_none_that_was_given_up(
    deliveries: tuple[int, ...], turns: list[tuple[int, int]]
) -> None:
    with patch.object(os, "fsync"), tempfile.TemporaryDirectory() as folder:  # no power is cut here
        story = Story(Path(folder) / "exp", deliveries)
        story.play(turns)
        assert len(story.committed) <= 1 and not story.late
        assert story.results.load(JOB) == next(iter(story.committed), None)
        assert not [path for path in (Path(folder) / "exp" / "attempts").rglob("*") if path.is_file()]
        assert story.drafts.dropped() <= sum(deliveries) - len(story.committed)


@pytest.fixture
def drafts(tmp_path: Path) -> Drafts:
    return Drafts(tmp_path / "exp", tmp_path, Results(tmp_path / "exp" / "results", tmp_path))


def names(tmp_path: Path, folder: str = "attempts") -> list[str]:
    return sorted(path.name for path in (tmp_path / "exp" / folder).rglob("*") if path.is_file())


def test_an_attempt_works_in_a_file_of_its_own_that_becomes_the_result(drafts: Drafts, tmp_path: Path) -> None:
    with drafts.begin(JOB, Turn(2, 3)) as draft:
        (name,) = names(tmp_path)
        assert name.startswith("valid_0.2-3.")
        assert draft.commit(result())
    assert names(tmp_path) == [] and names(tmp_path, "results") == ["valid_0.json"] and drafts.dropped() == 0


def test_an_attempt_that_ends_without_a_result_leaves_nothing(drafts: Drafts, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), drafts.begin(JOB, Turn(1, 1)):
        raise KeyboardInterrupt
    assert names(tmp_path) == [] == names(tmp_path, "dropped")


def test_of_two_deliveries_the_second_is_dropped_and_counted(drafts: Drafts, tmp_path: Path) -> None:
    with drafts.begin(JOB, Turn(1, 1)) as first, drafts.begin(JOB, Turn(1, 1)) as second:
        assert first.commit(result(score=1.0))
        assert not second.commit(result(score=0.0))
    assert drafts.dropped() == 1 and names(tmp_path) == []


def test_what_was_given_up_neither_goes_on_nor_begins(drafts: Drafts, tmp_path: Path) -> None:
    with drafts.begin(JOB, Turn(1, 2)) as draft:
        drafts.give_up(JOB, Turn(1, 2))
        with pytest.raises(Superseded):
            draft.commit(result())
    assert drafts.dropped() == 1, "it was done"
    for turn in (Turn(1, 1), Turn(1, 2)):
        with pytest.raises(Superseded):
            drafts.begin(JOB, turn)
    assert drafts.dropped() == 1, "nothing was done"
    assert names(tmp_path) == [] == names(tmp_path, "results")


@pytest.mark.parametrize("later", [Turn(1, 3), Turn(2, 1)])
def test_what_comes_after_is_not_touched(drafts: Drafts, later: Turn) -> None:
    other = result("valid_1").job
    with drafts.begin(JOB, later) as draft, drafts.begin(other, Turn(1, 1)) as others:
        drafts.give_up(JOB, Turn(1, 2))
        assert draft.commit(result()) and others.commit(result("valid_1"))


def test_a_fence_never_goes_back(drafts: Drafts) -> None:
    drafts.give_up(JOB, Turn(2, 1))
    drafts.give_up(JOB, Turn(1, 3))
    assert drafts.fence(JOB) == Turn(2, 1)


def test_a_damaged_fence_is_named(drafts: Drafts, tmp_path: Path) -> None:
    drafts.give_up(JOB, Turn(1, 1))
    path = tmp_path / "exp/fences/0/0/valid_0.json"
    path.write_bytes(path.read_bytes().replace(b'"attempt": 1', b'"attempt": 2'))
    with pytest.raises(CorruptFile, match=r"fences/0/0/valid_0\.json fails its digest"):
        drafts.begin(JOB, Turn(1, 2))
    assert names(tmp_path) == []


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b'{"attempt": 1, "digest": "sha256:0", "session": 1}'])
def test_a_damaged_fence_is_replaced_and_leaves_drafts_alone(drafts: Drafts, tmp_path: Path, damage: bytes) -> None:
    drafts.give_up(JOB, Turn(1, 1))
    (tmp_path / "exp/fences/0/0/valid_0.json").write_bytes(damage)
    with drafts.make(JOB, Turn(2, 1)) as draft:
        drafts.sweep("exp")
        assert len(names(tmp_path)) == 1
        drafts.give_up(JOB, Turn(2, 1))
        with pytest.raises(Superseded):
            draft.commit(result())
    assert drafts.fence(JOB) == Turn(2, 1)
    with drafts.begin(JOB, Turn(2, 2)) as draft:
        assert draft.commit(result())


class TestOverANetwork:
    """A request whose answer was lost is sent again, and told what came of the first."""

    @pytest.fixture
    def answered(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool, int], None]:
        """Has ``link()`` be done or not, and answer with an error all the same."""
        real = os.link

        def set_up(done: bool, number: int) -> None:
            def link(source: Path, target: Path) -> None:
                if done:
                    real(source, target)
                raise OSError(number, os.strerror(number))

            monkeypatch.setattr(os, "link", link)

        return set_up

    @pytest.mark.parametrize("number", [errno.EEXIST, errno.ENOENT, errno.ESTALE])
    def test_one_that_was_done_counts(
        self, drafts: Drafts, answered: Callable[[bool, int], None], number: int, tmp_path: Path
    ) -> None:
        """Also where the coordinator removed the draft in between, so that the second request finds none."""
        with drafts.begin(JOB, Turn(1, 1)) as draft:
            (tmp_path / "exp/results/0/0").mkdir(parents=True)
            answered(True, number)
            assert draft.commit(result())
        assert drafts.dropped() == 0

    @pytest.mark.parametrize("number", [errno.ENOENT, errno.ESTALE])
    def test_a_draft_that_another_host_removed_is_no_result(
        self, drafts: Drafts, answered: Callable[[bool, int], None], number: int
    ) -> None:
        answered(False, number)
        with drafts.begin(JOB, Turn(1, 1)) as draft, pytest.raises(Superseded):
            draft.commit(result())

    def test_a_file_that_has_the_number_of_a_removed_one_is_another(
        self, drafts: Drafts, answered: Callable[[bool, int], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with drafts.begin(JOB, Turn(1, 2)) as draft:
            assert draft.commit(result(attempt=2))
        monkeypatch.setattr("shared.atomic._identity", lambda path: (1, 1))
        monkeypatch.setattr("shared.atomic.fill", lambda *_: (1, 1))
        answered(False, errno.ESTALE)
        with drafts.begin(JOB, Turn(1, 1)) as draft, pytest.raises(Superseded):
            draft.commit(result(attempt=1))

    def test_a_file_that_is_gone_when_it_is_written_was_given_up(
        self, drafts: Drafts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def stale(descriptor: int) -> None:
            raise OSError(errno.ESTALE, "Stale file handle")

        with drafts.begin(JOB, Turn(1, 1)) as draft:
            monkeypatch.setattr(os, "fsync", stale)
            with pytest.raises(Superseded):
                draft.commit(result())


class TestSweeping:
    """Who was killed leaves a draft behind; it goes once it can be of no use, and not before."""

    @staticmethod
    def leave(drafts: Drafts, job: Job, turn: Turn) -> None:
        drafts.make(job, turn)._file.close()

    def test_drafts_of_finished_and_voided_attempts_go(self, drafts: Drafts, tmp_path: Path) -> None:
        for run_type in ("valid_0", "valid_1", "valid_2"):
            self.leave(drafts, result(run_type).job, Turn(1, 1))
        with drafts.begin(JOB, Turn(1, 1)) as draft:
            draft.commit(result())
        drafts.forbid(result("valid_1").job, Turn(1, 1))
        drafts.sweep("exp")
        (left,) = names(tmp_path)
        assert left.startswith("valid_2."), "somebody may be at work there"

    def test_what_is_no_draft_is_left_alone(self, drafts: Drafts, tmp_path: Path) -> None:
        folder = tmp_path / "exp/attempts/0/0"
        folder.mkdir(parents=True)
        for name in ("notes.txt", "valid_0", "valid_0.x-1.a", ".hidden"):
            (folder / name).touch()
        (tmp_path / "exp/attempts/README").touch()
        drafts.give_up(JOB, Turn(9, 9))
        drafts.sweep("exp")
        assert len(names(tmp_path)) == 5
