"""Scoring files from committed results."""

import json
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.aggregate import LEADERS, aggregate, current_details, standings
from coordinator.selection import Standing
from shared.file_manager import ExperimentFileManager
from shared.models import Example, Plan, RunResult, Status, Usage

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def experiment(directory: Path, runs: dict[str, dict[str, tuple[Status, float | None]]], planned: int) -> Path:
    """An experiment with those results: scaffold id -> run type -> (status, score)."""
    files = ExperimentFileManager(directory)
    examples = {f"valid_{n}": Example(id=str(n), input="x") for n in range(planned)}
    files.save_plan(Plan(experiment="exp", iteration=0, runs=examples, assigned={"valid": tuple(runs)}))
    for scaffold_id, by_run_type in runs.items():
        for run_type, (status, score) in by_run_type.items():
            files.commit_result(
                RunResult(
                    experiment="exp",
                    iteration=0,
                    scaffold_id=scaffold_id,
                    run_type=run_type,
                    example_id="x",
                    status=status,
                    score=score,
                    usage=Usage(calls=2, input_tokens=10, output_tokens=3),
                    started_at=NOW,
                    finished_at=NOW,
                )
            )
    return directory


def test_means_counts_and_usage(tmp_path: Path) -> None:
    runs = {
        "0": {"valid_0": (Status.OK, 1.0), "valid_1": (Status.OK, 0.0), "valid_2": (Status.TIMEOUT, 0.0)},
        "1": {"valid_0": (Status.OK, 1.0), "valid_1": (Status.SCORER_ERROR, 0.0), "valid_2": (Status.OK, 1.0)},
    }
    directory = experiment(tmp_path / "exp", runs, planned=3)
    details = aggregate(ExperimentFileManager(directory), 0)
    scores = json.loads((directory / "scoring/scores_0.json").read_text())
    assert scores == {"train": {}, "valid": {"0": 1 / 3, "1": 2 / 3}}
    zero = details.splits["valid"]["0"]
    assert (zero.n, zero.planned, zero.missing, zero.complete) == (3, 3, 0, True)
    assert zero.statuses == {Status.OK: 2, Status.TIMEOUT: 1}
    assert (zero.calls, zero.input_tokens, zero.output_tokens) == (6, 30, 9)
    assert zero.ci95 is not None
    assert zero.ci95[0] < 1 / 3 < zero.ci95[1]


def test_what_is_missing_is_never_a_zero(tmp_path: Path) -> None:
    directory = experiment(tmp_path / "exp", {"0": {"valid_1": (Status.OK, 1.0)}, "1": {}}, planned=4)
    details = aggregate(ExperimentFileManager(directory), 0)
    part = details.splits["valid"]["0"]
    assert (part.mean, part.n, part.missing, part.complete) == (1.0, 1, 3, False)
    assert json.loads((directory / "scoring/scores_0.json").read_text()) == {"train": {}, "valid": {"0": 1.0}}
    assert details.splits["valid"]["1"].mean is None


def test_results_that_were_not_planned_do_not_count(tmp_path: Path) -> None:
    runs = {"0": {"valid_0": (Status.OK, 0.0), "valid_7": (Status.OK, 1.0)}}
    details = aggregate(ExperimentFileManager(experiment(tmp_path / "exp", runs, planned=1)), 0)
    assert details.splits["valid"]["0"].mean == 0.0


scores = st.floats(min_value=-1e6, max_value=1e6)


@settings(max_examples=15)
@given(st.lists(scores, min_size=1, max_size=12), st.randoms())
def test_the_bytes_do_not_depend_on_the_order_of_commits(values: list[float], random: object) -> None:
    import random as module
    import tempfile

    assert isinstance(random, module.Random)
    items = [(f"valid_{n}", (Status.OK, value)) for n, value in enumerate(values)]
    shuffled = random.sample(items, len(items))
    with tempfile.TemporaryDirectory() as folder:
        written = []
        for name, order in (("a", items), ("b", shuffled)):
            directory = experiment(Path(folder) / name, {"0": dict(order)}, planned=len(values))
            aggregate(ExperimentFileManager(directory), 0)
            aggregate(ExperimentFileManager(directory), 0)
            written.append([(directory / "scoring" / f).read_bytes() for f in ("scores_0.json", "details_0.json")])
        assert written[0] == written[1]


def test_a_quarantined_run_is_missing(tmp_path: Path) -> None:
    directory = experiment(tmp_path / "exp", {"0": {"valid_0": (Status.INFRA_ERROR, None)}}, planned=1)
    part = aggregate(ExperimentFileManager(directory), 0).splits["valid"]["0"]
    assert (part.n, part.missing, part.mean) == (0, 1, None)


def looped(
    directory: Path, plans: list[Plan], scores: dict[tuple[int, str, str], float | None]
) -> ExperimentFileManager:
    """An experiment of several iterations: (iteration, scaffold id, run type) -> score, None where our side failed."""
    files = ExperimentFileManager(directory)
    for plan in plans:
        files.save_plan(plan)
    commit(files, scores)
    return files


def commit(files: ExperimentFileManager, scores: dict[tuple[int, str, str], float | None]) -> None:
    for (iteration, scaffold_id, run_type), score in scores.items():
        result = RunResult(
            experiment="exp",
            iteration=iteration,
            scaffold_id=scaffold_id,
            run_type=run_type,
            example_id="x",
            status=Status.OK if score is not None else Status.INFRA_ERROR,
            score=score,
            output="long " * 1000,
            started_at=NOW,
            finished_at=NOW,
        )
        files.commit_result(result)


def plan(iteration: int, examples: int, repeats: int = 1, **assigned: tuple[str, ...]) -> Plan:
    """Each split of ``assigned`` on ``examples`` examples, ``repeats`` times."""
    pairs = [(repeat, number) for repeat in range(repeats) for number in range(examples)]
    runs = {
        f"{split}_{index}": Example(id=f"{split}{number}", input="x", repeat=repeat)
        for split in assigned
        for index, (repeat, number) in enumerate(pairs)
    }
    return Plan(experiment="exp", iteration=iteration, runs=runs, assigned=assigned)


def solved(iteration: int, scaffold_id: str, count: int, of: int = 20, split: str = "valid"):
    """The first ``count`` runs are right."""
    return {(iteration, scaffold_id, f"{split}_{index}"): float(index < count) for index in range(of)}


def test_repeats_are_clustered_by_example(tmp_path: Path) -> None:
    runs = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]  # example 0 is solved both times, 1 and 2 never
    scores = {(0, "0", f"valid_{index}"): score for index, score in enumerate(runs)}
    part = aggregate(looped(tmp_path, [plan(0, 3, 2, valid=("0",))], scores), 0).splits["valid"]["0"]
    assert (part.n, part.examples, part.mean, part.complete) == (6, 3, 1 / 3, True)
    assert part.stderr is not None and abs(part.stderr - 1 / 3) < 1e-12


def test_only_splits_a_scaffold_is_assigned_to_count_and_trials_are_in_none(tmp_path: Path) -> None:
    one = plan(0, 2, train=("0", "5"), valid=("0",))
    trials = {f"preflight_{index}": Example(id="a", input="x") for index in range(3)}
    one = one.model_copy(update={"runs": {**one.runs, **trials}})
    scores = {**solved(0, "0", 1, 2), (0, "5", "valid_0"): 1.0, (0, "5", "preflight_0"): None, (0, "0", "train_1"): 1.0}
    details = aggregate(looped(tmp_path, [one], scores), 0)
    assert {split: sorted(parts) for split, parts in details.splits.items()} == {"train": ["0", "5"], "valid": ["0"]}
    assert details.splits["train"]["5"].statuses == {}
    # Parents that are run on nothing are in no split.
    idle = plan(1, 2, valid=("6",)).assign("train", ("0",))
    assert set(aggregate(looped(tmp_path, [idle], {}), 1).splits) == {"valid"}


def test_leaders_are_the_best_of_all_iterations_and_said_to_be_separable_or_not(tmp_path: Path) -> None:
    plans = [plan(0, 20, valid=("0", "1")), plan(1, 20, valid=("0-0",), test=("0-0",))]
    scores = {**solved(0, "0", 10), **solved(0, "1", 2), **solved(1, "0-0", 11), **solved(1, "0-0", 8, split="test")}
    files = looped(tmp_path, plans, scores)
    assert [one.scaffold_id for one in aggregate(files, 0).leaders] == ["0", "1"]
    details = aggregate(files, 1)
    best, near, far = details.leaders
    assert (best.scaffold_id, best.iteration, best.mean, best.difference) == ("0-0", 1, 0.55, None)
    assert (near.scaffold_id, near.iteration, near.examples, near.separable) == ("0", 0, 20, False)
    assert near.difference is not None and abs(near.difference + 0.05) < 1e-12
    assert near.ci95 is not None and near.ci95[0] < 0 == near.ci95[1]
    assert (far.scaffold_id, far.separable, far.p_best) == ("1", True, 0.0)
    assert abs(sum(one.p_best or 0 for one in details.leaders) - 1) < 1e-12
    winner = details.winner
    assert winner is not None and winner.gap is not None
    assert (winner.scaffold_id, winner.valid_mean, winner.test_mean) == ("0-0", 0.55, 0.4)
    assert abs(winner.gap - 0.15) < 1e-12


def test_the_latest_validation_is_the_one_that_counts(tmp_path: Path) -> None:
    plans = [plan(0, 8, valid=("0", "1")), plan(1, 8, valid=("0",))]
    files = looped(tmp_path, plans, {**solved(0, "0", 8, 8), **solved(0, "1", 5, 8), **solved(1, "0", 2, 8)})
    assert aggregate(files, 0).winner.scaffold_id == "0"
    assert aggregate(files, 1).winner.scaffold_id == "1"
    assert standings(files, before=1)["0"] == Standing(iteration=0, mean=1.0, n=8)
    assert standings(files, before=2)["0"] == Standing(iteration=1, mean=0.25, n=8)
    assert standings(files, before=0) == {}


def test_failures_of_ours_are_excluded_and_counted(tmp_path: Path) -> None:
    scores = {**solved(0, "0", 8, 8), **solved(0, "1", 8, 8), (0, "1", "valid_0"): None}
    details = aggregate(looped(tmp_path, [plan(0, 8, valid=("0", "1"))], scores), 0)
    part = details.splits["valid"]["1"]
    assert (part.n, part.missing, part.mean, part.statuses) == (7, 1, 1.0, {Status.OK: 7, Status.INFRA_ERROR: 1})
    assert [(one.scaffold_id, one.n, one.examples) for one in details.leaders] == [("0", 8, 8), ("1", 7, 7)]


def test_nothing_validated_has_no_winner(tmp_path: Path) -> None:
    details = aggregate(looped(tmp_path, [plan(0, 2, valid=("0",))], {}), 0)
    assert (details.leaders, details.winner) == ((), None)


def many(directory: Path) -> ExperimentFileManager:
    """Five iterations of five scaffolds each."""
    ids = {iteration: tuple(f"{iteration}-{n}" for n in range(5)) for iteration in range(5)}
    plans = [plan(iteration, 6, valid=own) for iteration, own in ids.items()]
    scores = {
        key: value
        for iteration, own in ids.items()
        for number, id in enumerate(own)
        for key, value in solved(iteration, id, (iteration + number) % 7, 6).items()
    }
    return looped(directory, plans, scores)


def test_made_anew_in_order_gives_the_same_bytes(tmp_path: Path) -> None:
    files = many(tmp_path)

    def written() -> dict[str, bytes]:
        for iteration in range(5):
            aggregate(files, iteration)
        return {path.name: path.read_bytes() for path in (tmp_path / "scoring").iterdir()}

    first = written()
    assert len(first) == 10 and written() == first
    for path in (tmp_path / "scoring").iterdir():
        path.unlink()
    assert written() == first
    assert len(files.load_details(4).leaders) == LEADERS


def test_of_history_only_the_leaders_are_read(tmp_path: Path, monkeypatch) -> None:
    files = many(tmp_path)
    for iteration in range(4):
        aggregate(files, iteration)
    read = []
    results = files.results

    def watched(iteration: int, scaffold_id: str):
        read.append((iteration, scaffold_id))
        return results(iteration, scaffold_id)

    monkeypatch.setattr(files, "results", watched)
    details = aggregate(files, 4)
    assert {pair for pair in read if pair[0] < 4} == {
        (one.iteration, one.scaffold_id) for one in details.leaders if one.iteration < 4
    }


def test_looking_takes_what_is_written_while_it_holds_all(tmp_path: Path, monkeypatch) -> None:
    files = many(tmp_path)
    unwritten = current_details(files)
    assert not (tmp_path / "scoring").exists()
    assert unwritten == [aggregate(files, iteration) for iteration in range(5)]
    monkeypatch.setattr(files, "results", None)
    assert current_details(files) == unwritten
    monkeypatch.undo()
    grown = files.load_plan(2).assign("valid", ("7",))
    files.save_plan(grown)
    commit(files, solved(2, "7", 6, 6))
    found = current_details(files)
    assert found[:2] == unwritten[:2]
    assert found[2].splits["valid"]["7"].mean == 1.0
    assert "7" in {one.scaffold_id for one in found[4].leaders}, "later iterations know of it too"
