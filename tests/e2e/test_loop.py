"""The whole loop through the command line: it evolves, repeats exactly, and goes on wherever it was killed."""

import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.aggregate import example_scores
from coordinator.frames import COLUMNS, run_rows, runs_df
from shared.comparison import compare
from shared.file_manager import ExperimentFileManager
from tests.conftest import ROOT, command_environment, scaffoldry
from tests.e2e.conftest import only_experiment, result_files, scoring_bytes, wait_until

EVOLVE = ROOT / "examples" / "evolve" / "experiment.yaml"
GIVEN = ("0", "1", "2")
SMALL = (
    "sandbox=process",
    "data.test.limit=6",
    "loop.iterations=2",
    "loop.valid_examples=5",
    "loop.train_per_scaffold=2",
)
"""The same experiment in a few seconds."""


def run(data_dir: Path, *settings: str, timeout: float) -> Path:
    """Run ``examples/evolve`` with those settings; where it lies."""
    options = [word for setting in settings for word in ("--set", setting)]
    arguments = ["run", str(EVOLVE), "--data-dir", str(data_dir), "--concurrency", "4", *options]
    done = scaffoldry(*arguments, cwd=data_dir.parent, timeout=timeout)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return only_experiment(data_dir)


def programs(experiment: Path) -> dict[str, bytes]:
    """Scaffold id -> its ``scaffold.py``."""
    return {path.parent.name: path.read_bytes() for path in sorted(experiment.glob("scaffolds/*/scaffold.py"))}


def outcome(experiment: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """All that must be the same however an experiment came about."""
    return scoring_bytes(experiment), programs(experiment)


def details(experiment: Path, iteration: int) -> dict[str, object]:
    found: dict[str, object] = json.loads((experiment / f"scoring/details_{iteration}.json").read_text())
    return found


# ---------------------------------------------------------------------- as it is in examples/


@pytest.fixture(scope="module")
def evolved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``examples/evolve`` at its full size."""
    return run(tmp_path_factory.mktemp("evolved") / "experiments", "sandbox=process", timeout=280)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, small."""
    return run(tmp_path_factory.mktemp("small") / "experiments", *SMALL, timeout=100)


@pytest.mark.timeout(900)
def test_the_best_at_the_end_is_separably_better_than_the_first_generation(evolved: Path) -> None:
    born = programs(evolved)
    assert {*GIVEN, "baseline", "0-0", "0-1"} < set(born)
    assert any(re.fullmatch(r"\d-\d-\d(-\d)?", id) for id in born)  # grandchildren
    assert all(re.fullmatch(r"baseline|\d(-\d){0,3}", id) for id in born)
    assert sorted(path.name for path in (evolved / "scoring").iterdir()) == [
        *(f"details_{iteration}.json" for iteration in range(4)),
        *(f"scores_{iteration}.json" for iteration in range(4)),
    ]
    last = details(evolved, 3)
    winner = last["winner"]
    assert isinstance(winner, dict) and winner["scaffold_id"] not in GIVEN

    files = ExperimentFileManager.open(evolved)
    best = example_scores(files, winner["iteration"], winner["scaffold_id"])
    for first in (*GIVEN, "baseline"):
        found = compare({first: example_scores(files, 0, first), "winner": best}, reference=first)["winner"]
        assert found.examples == 30
        assert found.separable and found.ci95 is not None and found.ci95[0] > 0, (first, found)

    tested = [path for path in result_files(evolved) if path.name.startswith("test_")]
    assert len(tested) == 30 == len({path.name for path in tested})
    assert {path.parent.name for path in tested} == {winner["scaffold_id"]}
    scores = [json.loads(path.read_text())["score"] for path in tested]
    assert winner["test_mean"] == pytest.approx(sum(scores) / 30)
    assert winner["gap"] == pytest.approx(winner["valid_mean"] - winner["test_mean"])


@pytest.mark.docker
@pytest.mark.timeout(900)
def test_another_run_in_containers_gives_the_same_bytes(small: Path, tmp_path: Path, sandbox_image: str) -> None:
    again = run(tmp_path / "experiments", *SMALL, "sandbox=docker", timeout=280)
    assert outcome(again) == outcome(small)


@pytest.mark.timeout(900)
def test_it_can_be_looked_at(evolved: Path, tmp_path: Path) -> None:
    winner = str(details(evolved, 3)["winner"]["scaffold_id"])  # type: ignore[index]
    parent = winner.rpartition("-")[0]
    words = {
        ("ls",): (
            winner,
            "baseline",
            "the winner",
            "not separable from the winner",
            f"The winner is scaffold {winner}",
        ),
        ("tree",): ("baseline", f"── {winner} ", "(the winner)"),
        ("report",): (f"The winner is scaffold {winner}", "On the test split"),
        ("show", winner): (f"parent_scaffold_id: {parent}", "proposed by: mutate", "the winner", "def process_input"),
        ("show", winner, "test_0"): ("field answer",),
        ("diff", "0", winner): ("validation mean", "separable", "--- 0/scaffold.py", '-    "votes": {"value": 1'),
    }
    for (command, *arguments), expected in words.items():
        done = scaffoldry(command, str(evolved), *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        for word in expected:
            assert word in done.stdout + done.stderr, command

    rows = list(run_rows(evolved))
    assert len(rows) == len(result_files(evolved)) == len(runs_df(evolved))
    assert all(tuple(row) == COLUMNS for row in rows)
    assert {row["split"] for row in rows} == {"preflight", "train", "valid", "test"}
    assert {row["parent_scaffold_id"] for row in rows if row["scaffold_id"] == winner} == {parent}


# ---------------------------------------------------------------------- killed anywhere


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where all that an experiment's processes make lies, temporary files too; none of them is left at the end.

    Its name is short: sockets are made below it.
    """
    with tempfile.TemporaryDirectory(prefix="killed-") as name:
        (Path(name) / "tmp").mkdir()
        yield Path(name)
        # A worker may take 15 s to end, and its heir looks for 25 s after that.
        wait_until(lambda: processes_in(Path(name)) == [], 60, f"no process about {name}")


def processes_in(folder: Path) -> list[str]:
    """The processes that were started with that folder in their arguments or environment, or that work in it."""
    found, name = [], str(folder).encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes()
            if name in arguments + (process / "environ").read_bytes() + bytes((process / "cwd").readlink()):
                found.append(f"{process.name} {arguments.decode(errors='replace')}")
        except OSError:
            continue  # it has ended, or is another user's
    return found


def events(experiment: Path) -> list[Path]:
    """Every proposed scaffold and every committed result, as they came about."""
    born = [path for path in experiment.glob("scaffolds/*-*/scaffold.py")]
    return sorted([*born, *result_files(experiment)], key=lambda path: path.stat().st_mtime_ns)


def kind(path: Path) -> str:
    """The part of the loop that an event belongs to."""
    return "proposing" if path.name == "scaffold.py" else path.name.split("_")[0]


def points(experiment: Path, seed: int) -> list[int]:
    """Two places in each part of the loop, as numbers of events."""
    kinds = [kind(path) for path in events(experiment)]
    assert set(kinds) == {"proposing", "preflight", "train", "valid", "test"}
    rng = random.Random(seed)
    found = {part: [number for number, one in enumerate(kinds, 1) if one == part] for part in sorted(set(kinds))}
    return sorted(number for numbers in found.values() for number in rng.sample(numbers[:-1], 2))


def killed(arguments: list[str], folder: Path, reached: int) -> None:
    """Start a session and kill its coordinator once the experiment has that many events."""
    data_dir = folder / "experiments"
    process = subprocess.Popen(
        [sys.executable, "-m", "coordinator", *arguments],
        env=command_environment(TMPDIR=str(folder / "tmp")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )
    try:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if any(data_dir.glob("*/sessions/1")) and len(events(only_experiment(data_dir))) >= reached:
                break
            time.sleep(0.02)
        early = process.poll()
    finally:
        process.kill()
        _, talk = process.communicate()
    assert early is None, f"ended with {early} before there were {reached} events: {talk}"
    assert "Traceback" not in talk


@pytest.mark.timeout(900)
def test_killed_at_random_points_and_resumed_it_gives_the_same_bytes(small: Path, folder: Path) -> None:
    data_dir = folder / "experiments"
    options = [word for setting in SMALL for word in ("--set", setting)]
    arguments = ["run", str(EVOLVE), "--data-dir", str(data_dir), "--concurrency", "4", *options]
    reached = 0
    for point in points(small, seed=3):
        reached = max(point, reached + 1)
        killed(arguments, folder, reached)
        experiment = only_experiment(data_dir)
        reached = len(events(experiment))
        arguments = ["resume", str(experiment), "--concurrency", "4"]
        before = {path: path.read_bytes() for path in result_files(experiment)}

    done = scaffoldry("resume", str(experiment), cwd=folder, TMPDIR=str(folder / "tmp"))
    assert done.returncode == 0, done.stderr
    assert outcome(experiment) == outcome(small)
    assert all(path.read_bytes() == data for path, data in before.items())
    committed = [path.relative_to(experiment) for path in result_files(experiment)]
    assert committed == [path.relative_to(small) for path in result_files(small)]
    drafts = {path.parent.name: attempts(path) for path in experiment.glob("scaffolds/*-*/metadata.json")}
    assert drafts and set(drafts.values()) == {1}  # what was proposed is not proposed again


def attempts(metadata: Path) -> int:
    """How often a scaffold was drafted."""
    return len(json.loads(metadata.read_text())["notes"]["attempts"])
