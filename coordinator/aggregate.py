"""From committed results to an iteration's scoring files: a pure function of what lies on the volume."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from coordinator.selection import Standing, rank, with_iteration
from shared.comparison import compare
from shared.file_manager import ExperimentFileManager
from shared.models import Details, Leader, Plan, RunResult, SplitDetails, Status, Usage, Winner
from shared.models.ids import SPLITS
from shared.statistics import clustered

LEADERS = 10
"""Scaffolds that are compared with the winner, the winner among them."""

History = Mapping[str, Standing]
Splits = dict[str, dict[str, SplitDetails]]
ExampleScores = dict[str, list[float]]
"""Example id -> the scores of the counted runs of it."""


def aggregate(files: ExperimentFileManager, iteration: int) -> Details:
    """Write ``scores_<iteration>.json`` and ``details_<iteration>.json`` from the committed results.

    Of earlier iterations their details are read, and the leaders' results: iterations are made anew in their order. The
    same results give the same bytes.
    """
    details = iteration_details(files, iteration, standings(files, before=iteration))
    scores = mean_scores(details)
    files.save_scores(iteration, scores["train"], scores["valid"])
    files.save_details(details)
    return details


def mean_scores(details: Details) -> dict[str, dict[str, float]]:
    """What an iteration's ``scores_<iteration>.json`` holds: split -> scaffold id -> mean."""
    return {split: _means(details, split) for split in ("train", "valid")}


def aggregate_all(files: ExperimentFileManager) -> list[Details]:
    """The scoring files of every planned iteration, made anew from what is committed."""
    return [aggregate(files, iteration) for iteration in files.plan_iterations()]


def standings(files: ExperimentFileManager, before: int) -> dict[str, Standing]:
    """Each scaffold's latest validation in the iterations before that one, by their details files."""
    history: dict[str, Standing] = {}
    for iteration in files.plan_iterations():
        if iteration < before:
            saved = _saved(files, iteration)
            splits = saved.splits if saved else split_scores(files, files.load_plan(iteration))[0]
            history = with_iteration(history, iteration, splits.get("valid", {}).items())
    return history


def current_details(files: ExperimentFileManager) -> list[Details]:
    """The details of every planned iteration in order, by what is committed now. Writes nothing.

    A details file is taken as it stands while every committed result is in it, and in those of the iterations before.
    """
    found: list[Details] = []
    history: dict[str, Standing] = {}
    settled = True
    for iteration in files.plan_iterations():
        saved = _saved(files, iteration) if settled else None
        settled = saved is not None and holds_all(files, files.load_plan(iteration), saved)
        details = saved if saved is not None and settled else iteration_details(files, iteration, history)
        history = with_iteration(history, iteration, details.splits.get("valid", {}).items())
        found.append(details)
    return found


def iteration_details(files: ExperimentFileManager, iteration: int, history: History) -> Details:
    """What the committed results of an iteration come to, after the ``history`` of those before it."""
    splits, best = split_scores(files, files.load_plan(iteration))
    history = with_iteration(history, iteration, splits.get("valid", {}).items())
    order = rank(history)
    return Details(
        iteration=iteration,
        splits=splits,
        leaders=_leaders(files, order[:LEADERS], history, best),
        winner=_winner(order[0], history, splits) if order else None,
    )


def split_scores(files: ExperimentFileManager, plan: Plan) -> tuple[Splits, dict[str, ExampleScores]]:
    """Each planned scaffold on each of its splits, and how those that may lead did on each validation example.

    Results are read one at a time, and little of each is kept.
    """
    best: dict[str, ExampleScores] = {}
    run_types: dict[str, set[str]] = {split: set(plan.run_types(split)) for split in SPLITS}
    splits: Splits = {split: {} for split in SPLITS if run_types[split] and plan.assigned.get(split)}
    for scaffold_id in plan.scaffolds:
        mine = {split: run_types[split] for split in splits if scaffold_id in plan.assigned[split]}
        tallies = {split: _Tally() for split in mine}
        for result in files.results(plan.iteration, scaffold_id) if mine else ():
            split = result.run_type.partition("_")[0]
            if split in mine and result.run_type in mine[split]:
                tallies[split].add(result, plan.runs[result.run_type].id)
        for split, tally in tallies.items():
            splits[split][scaffold_id] = tally.details(len(mine[split]))
        if "valid" in tallies:
            best[scaffold_id] = tallies["valid"].by_example
        if len(best) > 2 * LEADERS:
            best = _best(best, splits["valid"])
    return splits, best


def _best(scored: Mapping[str, ExampleScores], valid: Mapping[str, SplitDetails]) -> dict[str, ExampleScores]:
    order = rank(with_iteration({}, 0, ((scaffold_id, valid[scaffold_id]) for scaffold_id in scored)))
    return {scaffold_id: scored[scaffold_id] for scaffold_id in order[:LEADERS]}


def example_scores(
    files: ExperimentFileManager, iteration: int, scaffold_id: str, split: str = "valid"
) -> ExampleScores:
    """Example id -> the scores of a scaffold's counted runs of it in an iteration."""
    plan = files.load_plan(iteration)
    tally = _Tally()
    for result in files.results(iteration, scaffold_id):
        if result.run_type in plan.runs and result.run_type.partition("_")[0] == split:
            tally.add(result, plan.runs[result.run_type].id)
    return tally.by_example


class _Tally:
    """One scaffold on one split. Runs that our own machinery failed are counted, and never scored."""

    def __init__(self) -> None:
        self.by_example: ExampleScores = {}
        self.statuses: Counter[Status] = Counter()
        self.usage = Usage()

    def add(self, result: RunResult, example_id: str) -> None:
        self.statuses[result.status] += 1
        if result.status.counts and result.score is not None:
            self.by_example.setdefault(example_id, []).append(result.score)
            self.usage += result.usage

    def details(self, planned: int) -> SplitDetails:
        found = clustered(self.by_example)
        return SplitDetails(
            **found.model_dump(),
            examples=len(self.by_example),
            planned=planned,
            missing=planned - found.n,
            complete=found.n == planned,
            statuses={status: self.statuses[status] for status in Status if self.statuses[status]},
            calls=self.usage.calls,
            input_tokens=self.usage.input_tokens,
            output_tokens=self.usage.output_tokens,
            usd=self.usage.usd,
        )


def _leaders(
    files: ExperimentFileManager, best: Sequence[str], history: History, at_hand: Mapping[str, ExampleScores]
) -> tuple[Leader, ...]:
    """``best``, the winner first, beside the winner on the validation examples they share with it.

    ``at_hand``: the scores that need not be read again.
    """
    if not best:
        return ()
    scores = {id: at_hand.get(id) or example_scores(files, history[id].iteration, id) for id in best}
    compared = compare(scores, reference=best[0])
    leaders = []
    for scaffold_id in best:
        one, standing = compared[scaffold_id], history[scaffold_id]
        other = scaffold_id != best[0]
        leaders.append(
            Leader(
                scaffold_id=scaffold_id,
                **standing.model_dump(),
                difference=one.difference if other else None,
                ci95=one.ci95 if other else None,
                p_best=one.p_best,
                separable=other and one.separable,
                examples=one.examples,
            )
        )
    return tuple(leaders)


def _winner(scaffold_id: str, history: History, splits: Splits) -> Winner:
    standing = history[scaffold_id]
    tested = splits.get("test", {}).get(scaffold_id)
    test_mean = tested.mean if tested else None
    gap = None if test_mean is None else standing.mean - test_mean
    return Winner(
        scaffold_id=scaffold_id,
        iteration=standing.iteration,
        valid_mean=standing.mean,
        test_mean=test_mean,
        gap=gap if gap is not None and math.isfinite(gap) else None,
    )


def _saved(files: ExperimentFileManager, iteration: int) -> Details | None:
    try:
        return files.load_details(iteration)
    except FileNotFoundError:
        return None


def lags(files: ExperimentFileManager, plan: Plan, details: Details) -> bool:
    """Whether the details are of a time when fewer results were committed for the plan, and none but these."""
    expected, counted = _committed(files, plan), _counted(details)
    fewer = all(key in expected and number <= expected[key] for key, number in counted.items())
    return fewer and counted != expected


def holds_all(files: ExperimentFileManager, plan: Plan, details: Details) -> bool:
    """Whether every result that is committed for the plan is counted in the details, and nothing else."""
    return _committed(files, plan) == _counted(details)


def gone(files: ExperimentFileManager, plan: Plan, details: Details) -> int:
    """How many of the results that the details are made of are there no more, and were not set aside as damaged."""
    there, counted = _committed(files, plan, aside=True), _counted(details)
    return sum(max(0, counted.get(key, 0) - number) for key, number in there.items())


def _committed(files: ExperimentFileManager, plan: Plan, aside: bool = False) -> dict[tuple[str, str], int]:
    """(split, scaffold id) -> how many results are committed for the plan; with ``aside`` those set aside, too."""
    found: dict[tuple[str, str], int] = {}
    run_types = {split: set(plan.run_types(split)) for split in SPLITS}
    for scaffold_id in plan.scaffolds:
        committed = set(files.committed_run_types(plan.iteration, scaffold_id))
        if aside:
            committed |= files.set_aside_run_types(plan.iteration, scaffold_id)
        for split in SPLITS:
            if run_types[split] and scaffold_id in plan.assigned.get(split, ()):
                found[split, scaffold_id] = len(run_types[split].intersection(committed))
    return found


def _counted(details: Details) -> dict[tuple[str, str], int]:
    """(split, scaffold id) -> how many results the details are made of."""
    return {
        (split, scaffold_id): sum(part.statuses.values())
        for split, parts in details.splits.items()
        for scaffold_id, part in parts.items()
    }


def _means(details: Details, split: str) -> dict[str, float]:
    parts: Iterable[tuple[str, SplitDetails]] = details.splits.get(split, {}).items()
    return {scaffold_id: part.mean for scaffold_id, part in parts if part.mean is not None}
