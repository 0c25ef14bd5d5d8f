"""An iteration's plan: which examples its scaffolds are run on. Pure: the same arguments, the same plan."""

import random
from collections.abc import Mapping, Sequence

from shared.errors import SpecError
from shared.models.example import Example
from shared.models.plan import Plan
from shared.models.spec import LoopSpec


def plan_iteration(
    experiment: str,
    iteration: int,
    loop: LoopSpec,
    data: Mapping[str, Sequence[Example]],
    scaffold_ids: Sequence[str],
) -> Plan:
    """The plan of one iteration: each scaffold on the validation sample, then on the iteration's training sample.

    The validation sample is the same in every iteration, so that scores can be compared; the training sample is drawn
    anew. Raises SpecError where a sample is larger than its split, or where there is nothing to run.
    """
    valid, train = data.get("valid", ()), data.get("train", ())
    samples: dict[str, Sequence[Example]] = {"valid": valid}
    if loop.valid_examples is not None:
        seed = f"{loop.seed}:valid"
        samples["valid"] = _sample(valid, loop.valid_examples, seed, "loop.valid_examples", "data.valid")
    if loop.train_per_scaffold:
        seed = f"{loop.seed}:train:{iteration}"
        samples["train"] = _sample(train, loop.train_per_scaffold, seed, "loop.train_per_scaffold", "data.train")
    runs = {f"{split}_{index}": example for split, part in samples.items() for index, example in enumerate(part)}
    if not runs:
        raise SpecError("There is nothing to run: give data.valid, or data.train with loop.train_per_scaffold.")
    return Plan(experiment=experiment, iteration=iteration, scaffolds=tuple(scaffold_ids), runs=runs)


def _sample(examples: Sequence[Example], size: int, seed: str, field: str, source: str) -> list[Example]:
    """``size`` of ``examples``, drawn by ``seed`` without replacement, in the order they stand in."""
    if size > len(examples):
        raise SpecError(
            f"{field} is {size}, but {source} has {len(examples) or 'no'} examples; lower it or give more data."
        )
    return [examples[index] for index in sorted(random.Random(seed).sample(range(len(examples)), size))]
