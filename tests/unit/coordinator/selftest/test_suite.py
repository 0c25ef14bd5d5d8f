"""What a suite finds missing before a row, and left over after it; and that an error in a row ends no other."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from coordinator.selftest import suite as suites
from coordinator.selftest.engine import Container, DockerCommand
from coordinator.selftest.faults.base import Fault
from coordinator.selftest.processes import Process
from coordinator.selftest.results import Bound
from coordinator.selftest.suite import Suite, _flaws, _kept, _left_over
from coordinator.selftest.workload import Workload
from coordinator.selftest.world import World
from shared.errors import SandboxUnavailable
from tests import looping
from tests.unit.coordinator.selftest.conftest import ledger

SMALL = Workload(jobs=4, long=1, sandbox="process")
MINUTE = "coordinator.selftest.suite.STRAY_SECONDS"


class Still(World):
    """A world whose experiment is over at once, without any process."""

    def start(self) -> None:
        ended = SimpleNamespace(exit_code=0, signal_all=lambda number: None)
        self.coordinators = [cast(Process, ended)]

    def known_experiment(self) -> Path | None:
        return self.folder


class Breaking(Fault):
    """Raises ``error`` where it is called by the name ``place``."""

    name, also = "nothing", "nothing"
    place = ""
    error: BaseException = KeyError("valid_3")

    def _at(self, place: str) -> None:
        if place == self.place:
            raise self.error

    def adapt(self, workload: Workload) -> Workload:
        self._at("adapt")
        return workload

    def set_up(self, world: World) -> None:
        self._at("set_up")

    def harm(self, world: World, dice: Any) -> None:
        self._at("harm")

    def bound(self, world: World, found: Any) -> Bound:
        self._at("bound")
        return Bound(holds=True, figure="0 s")

    def but_for(self, world: World) -> tuple[str, ...]:
        self._at("but_for")
        return ()


@pytest.fixture
def still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Suite]:
    """A suite of still worlds: row 1 breaks as it is told to, row 2 does not."""
    monkeypatch.setattr("coordinator.selftest.world.World", Still)
    monkeypatch.setattr(Suite, "quiet", lambda self, workload, limit: ledger())
    for name, value in {"_ledger": ledger(), "_flaws": (), "row_digest": "now", "missing": None}.items():
        monkeypatch.setattr(suites, name, lambda *args, value=value, **kwargs: value)

    def make(place: str, error: BaseException = Breaking.error) -> Suite:
        breaking = type("Broken", (Breaking,), {"number": 1, "place": place, "error": error})
        monkeypatch.setattr(suites, "FAULTS", {1: breaking, 2: type("Whole", (Breaking,), {"number": 2})})
        return Suite(tmp_path, SMALL, print)

    return make


@pytest.mark.parametrize("place", ["adapt", "set_up", "harm", "bound", "but_for"])
def test_an_unexpected_error_fails_its_row_and_those_that_follow_are_run(
    still: Callable[..., Suite], place: str
) -> None:
    suite = still(place)
    broken, whole = suite.row(1, [0, 1]), suite.row(2, [0])
    assert [run.problems[0] for run in broken.runs] == ["An unexpected KeyError: 'valid_3'."] * 2
    assert not any(run.bound and run.bound.holds for run in broken.runs)
    assert whole.passed, whole.runs


@pytest.mark.parametrize("place", ["harm", "bound", "but_for"])
def test_who_ends_the_suite_ends_it_in_the_middle_of_a_row(still: Callable[..., Suite], place: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        still(place, KeyboardInterrupt()).row(1, [0])


def test_a_row_says_with_what_it_was_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suites, "missing", lambda names: "it is cold")
    suite = Suite(tmp_path, SMALL.model_copy(update={"seconds": 2.0}), print, soak_minutes=5.0)
    first, soak = suite.row(1, [0]), suite.row(22, [0])
    assert (first.jobs, first.sandbox, first.seconds, first.minutes) == (4, "process", 2.0, None)
    assert (soak.seconds, soak.minutes) == (0.0, 5.0)
    capless = Suite(tmp_path, SMALL, print, mutation="cap").row(1, [0])
    assert capless.suite != first.suite


def test_a_row_that_cannot_be_run_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    without = Suite(tmp_path, SMALL, print)
    assert (without.row(9, [0]).not_run or "").startswith("there is no redis-server")
    assert "give --sandbox docker" in (without.row(15, [0]).not_run or "")
    docker = Suite(tmp_path, SMALL.model_copy(update={"sandbox": "docker"}), print).row(14, [0])
    for words in ("no redis-server", "reaches no engine", "needs dockerd and unshare and nsenter"):
        assert words in (docker.not_run or "")
    assert docker.runs == () and not docker.passed


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world that was never started, with a folder for temporary files."""
    made = World(tmp_path, "w", SMALL, 60.0)
    made.temporary.mkdir()
    return made


@pytest.fixture
def program(world: World) -> Iterator["subprocess.Popen[bytes]"]:
    """A program that has its scratch directory there, as a run of a plain process has."""
    environment = {"TMPDIR": f"{world.temporary}/scaffoldry-x"}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environment) as process:
        yield process
        process.kill()


def test_what_stays_for_a_minute_is_left_over(
    world: World, program: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MINUTE, 0.0)
    (world.temporary / "scaffoldry-x").mkdir()
    assert _left_over(world) == ((f"process {program.pid}",), ("tmp/scaffoldry-x",))


def test_what_goes_within_a_minute_is_not_left_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    file = world.temporary / "a"
    file.touch()
    monkeypatch.setattr(suites, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=lambda seconds: file.unlink()))
    assert _left_over(world) == ((), ())


class Engine(DockerCommand):
    """An engine with one container of the world's worker, and one of another's; with none, it does not answer."""

    def __init__(self, *workers: str) -> None:
        super().__init__()
        self._workers = workers

    def _labelled(self, label: str) -> list[Container]:
        if not self._workers:
            raise SandboxUnavailable("The docker command did not answer.")
        return [Container(id=worker, job=f"job of {worker}", running=True, worker=worker) for worker in self._workers]


@pytest.mark.parametrize(
    ("engine", "strays"),
    [(Engine("w-w0", "v-w0"), ("job of w-w0",)), (Engine(), ("The docker command did not answer.",))],
)
def test_a_container_that_stays_is_a_stray(
    world: World, monkeypatch: pytest.MonkeyPatch, engine: Engine, strays: tuple[str, ...]
) -> None:
    monkeypatch.setattr(MINUTE, 0.0)
    world.workload, world.engine = SMALL.model_copy(update={"sandbox": "docker"}), engine
    assert _left_over(world) == (strays, ())


def test_what_workers_that_ended_have_kept_is_said_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MINUTE, 0.0)
    assert _kept(world, ()) == ()
    for name in ("b", "a", "known"):
        (world.temporary / name).touch()
    assert _kept(world, ("tmp/known",)) == ("tmp/a", "tmp/b")


def test_what_verify_finds_amiss_is_a_flaw(world: World) -> None:
    data = {"valid": looping.numbers(0, 2, "v")}
    looping.experiment(world.data_dir, [looping.code(5)], data=data, proposer=None)
    assert [flaw for flaw in _flaws(world) if flaw.is_problem] == []
    for name in ("scaffolds/0/metadata.json", "metadata.json"):  # one that the check reads, one that opening does
        (world.experiment / name).write_text("{")
        assert name in {flaw.file for flaw in _flaws(world) if flaw.is_problem}
