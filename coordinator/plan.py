"""An iteration's plan: which examples its scaffolds are run on. Pure: the same arguments, the same plan."""

import random
from collections.abc import Mapping, Sequence

from coordinator.baseline import BASELINE
from coordinator.report.words import plural
from shared.errors import SpecError
from shared.models.example import Example
from shared.models.ids import PREFLIGHT
from shared.models.plan import Plan
from shared.models.spec import ExperimentSpec, LoopSpec

ATTEMPTS = 3
"""Drafts of one proposed scaffold, the first and its repairs; each has a trial of its own."""

Data = Mapping[str, Sequence[Example]]
Assigned = Mapping[str, Sequence[str]]


def plan_iteration(experiment: str, iteration: int, loop: LoopSpec, data: Data, assigned: Assigned) -> Plan:
    """The plan of one iteration, with the scaffolds that are known for each split (``assigned``).

    The validation sample is the same in every iteration, so that scores can be compared, unless
    ``resample_validation`` wants another each time; the training sample is always drawn anew. Test examples are all
    there are. Raises SpecError where a sample is larger than its split.
    """
    samples: dict[str, Sequence[Example]] = {}
    if "valid" in assigned:
        samples["valid"] = repeated(_valid_sample(iteration, loop, data.get("valid", ())), loop.repeats)
    if "train" in assigned and loop.train_per_scaffold:
        seed = f"{loop.seeds['sampling']}:train:{iteration}"
        train = data.get("train", ())
        samples["train"] = _sample(train, loop.train_per_scaffold, seed, "loop.train_per_scaffold", "data.train")
    if "test" in assigned:
        samples["test"] = repeated(data.get("test", ()), loop.repeats)
    if PREFLIGHT in assigned:
        samples[PREFLIGHT] = [trial_example(data)] * ATTEMPTS
    runs = {f"{split}_{index}": example for split, part in samples.items() for index, example in enumerate(part)}
    # Trials are run as they are needed, so that none is planned for anybody.
    together = {split: tuple(ids) for split, ids in assigned.items() if split != PREFLIGHT}
    return Plan(experiment=experiment, iteration=iteration, runs=runs, assigned=together)


def first_assigned(spec: ExperimentSpec, given: Sequence[str]) -> dict[str, Sequence[str]]:
    """What the first iteration's plan begins with: the given scaffolds, and room for those that are proposed."""
    if spec.proposer is None:
        splits = {"valid": spec_has(spec, "valid"), "train": bool(spec.loop.train_per_scaffold)}
        together = [*given, BASELINE] if spec.has_baseline else given
        return {split: together for split, wanted in splits.items() if wanted}
    return {PREFLIGHT: (), "valid": given}


def spec_has(spec: ExperimentSpec, split: str) -> bool:
    """Whether the spec's data has that split."""
    shares = getattr(spec.data, "split", None)
    return split in shares if shares is not None else getattr(spec.data, split) is not None


def check_plans(spec: ExperimentSpec, data: Data) -> None:
    """Raise SpecError where the loop asks for more examples or parents than there are."""
    loop = spec.loop
    plan_iteration("check", 0, loop, data, {"valid": (), "train": ()})
    if spec.proposer is None and not data.get("valid") and not (data.get("train") and loop.train_per_scaffold):
        raise SpecError("There is nothing to run: give data.valid, or data.train with loop.train_per_scaffold.")
    if spec.proposer is not None and not data.get("valid"):
        raise SpecError("Scaffolds are selected by their validation scores: give data.valid.")
    if loop.iterations > 1 and loop.top_k > spec.first_generation:
        raise SpecError(
            f"loop.top_k is {loop.top_k}, but the first generation has {plural(spec.first_generation, 'scaffold')}; "
            "lower it, or raise loop.initial."
        )


def repeated(examples: Sequence[Example], times: int) -> list[Example]:
    """Each example ``times`` times; first all of them once, then all again."""
    return [example.model_copy(update={"repeat": repeat}) for repeat in range(times) for example in examples]


def trial_example(data: Data) -> Example:
    """What proposed scaffolds are tried on: a training example, so that a failure may be shown to the proposer."""
    train = data.get("train", ())
    return train[0] if train else Example(id="trial", input="This is a trial.")


def _valid_sample(iteration: int, loop: LoopSpec, valid: Sequence[Example]) -> Sequence[Example]:
    if loop.valid_examples is None:
        return valid
    seed = f"{loop.seeds['sampling']}:valid"
    if loop.resample_validation and iteration:
        seed = f"{seed}:{iteration}"
    return _sample(valid, loop.valid_examples, seed, "loop.valid_examples", "data.valid")


def _sample(examples: Sequence[Example], size: int, seed: str, field: str, source: str) -> list[Example]:
    """``size`` of ``examples``, drawn by ``seed`` without replacement, in the order they stand in."""
    if size > len(examples):
        raise SpecError(
            f"{field} is {size}, but {source} has {len(examples) or 'no'} examples; lower it or give more data."
        )
    return [examples[index] for index in sorted(random.Random(seed).sample(range(len(examples)), size))]
