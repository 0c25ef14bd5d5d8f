"""Plans: which examples are drawn, in which order, and what cannot be planned."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.plan import ATTEMPTS, check_plans, first_assigned, plan_iteration, trial_example
from shared.errors import SpecError
from shared.models.example import Example
from shared.models.plan import Plan
from shared.models.spec import ExperimentSpec, LoopSpec

BOTH = ("0", "1")


def examples(count: int, name: str = "v") -> list[Example]:
    return [Example(id=f"{name}{index}", input=f"question {index}") for index in range(count)]


def data(valid: int = 10, train: int = 0) -> dict[str, list[Example]]:
    return {"valid": examples(valid), "train": examples(train, "t"), "test": examples(3, "x")}


def plan(iteration: int = 0, *, valid: int = 10, train: int = 0, **loop: Any) -> Plan:
    return plan_iteration("e_1", iteration, LoopSpec(**loop), data(valid, train), {"valid": BOTH, "train": BOTH})


def spec(**fields: Any) -> ExperimentSpec:
    minimal = {"name": "x", "data": {"valid": {"path": "v"}}, "scorer": {"name": "exact"}, "scaffolds": ("a", "b")}
    return ExperimentSpec.model_validate({**minimal, **fields})


def drawn(found: Plan, split: str = "valid") -> list[str]:
    return [example.id for run_type, example in found.runs.items() if run_type.startswith(split)]


def test_without_a_size_the_whole_validation_split_is_run_in_order():
    found = plan()
    assert list(found.runs) == [f"valid_{index}" for index in range(10)]
    assert drawn(found) == [f"v{index}" for index in range(10)]
    assert (found.experiment, found.iteration, found.scaffolds, len(found)) == ("e_1", 0, ("0", "1"), 20)
    assert [job.run_type for job in found.jobs()][:3] == ["valid_0", "valid_0", "valid_1"]


def test_the_validation_sample_is_the_same_in_every_iteration_and_the_training_sample_is_not():
    first, second = (plan(number, valid=50, valid_examples=20, train=50, train_per_scaffold=10) for number in (0, 1))
    assert list(first.runs) == [f"valid_{i}" for i in range(20)] + [f"train_{i}" for i in range(10)]
    assert drawn(first) == drawn(second)
    assert drawn(first, "train") != drawn(second, "train")


def test_the_validation_sample_is_drawn_anew_where_that_is_asked_for():
    samples = [drawn(plan(n, valid=50, valid_examples=20, resample_validation=True)) for n in range(4)]
    assert len({tuple(sample) for sample in samples}) == 4
    assert samples[0] == drawn(plan(0, valid=50, valid_examples=20)), "the first is the one for all"


def test_repeats_come_round_by_round():
    found = plan(valid=2, train=2, train_per_scaffold=1, repeats=3)
    assert drawn(found) == ["v0", "v1"] * 3
    assert [found.runs[f"valid_{index}"].repeat for index in range(6)] == [0, 0, 1, 1, 2, 2]
    assert len(drawn(found, "train")) == 1, "training examples are not repeated"


def test_training_examples_alone_can_be_planned():
    assert list(plan(valid=0, train=5, train_per_scaffold=2).runs) == ["train_0", "train_1"]


def test_only_splits_that_are_asked_for_are_planned():
    loop = LoopSpec(train_per_scaffold=2, repeats=2)
    tested = plan_iteration("e_1", 3, loop, data(train=5), {"test": ("0",)})
    assert drawn(tested, "test") == ["x0", "x1", "x2"] * 2 and len(tested.runs) == 6
    assert tested.assigned == {"test": ("0",)}


def test_every_attempt_has_a_trial_on_a_training_example_and_none_is_planned_for_anybody():
    found = plan_iteration("e_1", 0, LoopSpec(), data(train=5), {"preflight": ("0",), "valid": ()})
    assert drawn(found, "preflight") == ["t0"] * ATTEMPTS
    assert found.run_types("preflight") == ["preflight_0", "preflight_1", "preflight_2"]
    assert "preflight" not in found.assigned and len(found) == 0


def test_without_training_examples_a_trial_has_one_of_its_own():
    trial = trial_example(data(train=0))
    assert trial.id == "trial" and trial not in [*data()["valid"], *data()["test"]]


def test_what_the_first_plan_begins_with():
    alone = spec(loop={"train_per_scaffold": 2})
    assert first_assigned(alone, BOTH) == {"valid": BOTH, "train": BOTH}
    assert first_assigned(spec(), BOTH) == {"valid": BOTH}
    assert first_assigned(spec(data={"test": {"path": "t"}}), BOTH) == {}
    shares = {"path": "all", "split": {"train": 0.5, "test": 0.5}}
    assert first_assigned(spec(data=shares, loop={"train_per_scaffold": 1}), BOTH) == {"train": BOTH}
    proposing = spec(proposer={"name": "mutate"}, loop={"train_per_scaffold": 2})
    assert first_assigned(proposing, BOTH) == {"preflight": (), "valid": BOTH}


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 30), more=st.integers(0, 30), seed=st.integers(), iteration=st.integers(0, 9))
def test_a_sample_is_a_subset_in_file_order_decided_by_the_seed(size, more, seed, iteration):
    found = plan(iteration, valid=size + more, valid_examples=size, seed=seed)
    ids = drawn(found)
    numbers = [int(name[1:]) for name in ids]
    assert len(set(numbers)) == size and numbers == sorted(numbers) and numbers[-1] < size + more
    assert found == plan(iteration, valid=size + more, valid_examples=size, seed=seed)


def test_another_seed_draws_another_sample():
    by_seed = [drawn(plan(valid=100, valid_examples=20, seed=seed)) for seed in (1, 2)]
    assert by_seed[0] != by_seed[1]
    assert drawn(plan(valid=100, valid_examples=20, seed=1, sampling_seed=2)) == by_seed[1]
    assert drawn(plan(valid=100, valid_examples=20, seed=1, proposing_seed=2, model_seed=2)) == by_seed[0]


def test_the_sample_of_a_seed_is_fixed_for_ever():
    assert drawn(plan(valid=10, valid_examples=3, seed=0)) == ["v0", "v1", "v3"]


@pytest.mark.parametrize(
    ("sizes", "fields", "expected"),
    [
        ({}, {"loop": {"valid_examples": 11}}, "loop.valid_examples is 11, but data.valid has 10 examples"),
        ({"valid": 0}, {"loop": {"valid_examples": 1}}, "loop.valid_examples is 1, but data.valid has no examples"),
        (
            {"valid": 0, "train": 5},
            {"loop": {"valid_examples": 1, "train_per_scaffold": 1}},
            "loop.valid_examples is 1, but data.valid has no examples",
        ),
        ({}, {"loop": {"train_per_scaffold": 1}}, "loop.train_per_scaffold is 1, but data.train has no examples"),
        ({"valid": 0, "train": 5}, {}, "There is nothing to run"),
        ({"valid": 0, "train": 5}, {"proposer": {"name": "mutate"}}, "by their validation scores: give data.valid"),
        (
            {},
            {"proposer": {"name": "mutate"}, "loop": {"iterations": 2, "top_k": 3}},
            "loop.top_k is 3, but the first generation has 2 scaffolds; lower it, or raise loop.initial.",
        ),
    ],
)
def test_what_cannot_be_planned(sizes, fields, expected):
    with pytest.raises(SpecError) as caught:
        check_plans(spec(**fields), data(**sizes))
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"loop": {"top_k": 3}},
        {"proposer": {"name": "mutate"}, "loop": {"iterations": 2, "top_k": 3, "initial": 3}},
        {"proposer": {"name": "llm"}, "scaffolds": (), "loop": {"iterations": 2, "top_k": 4}},
    ],
)
def test_what_can_be_planned(fields):
    check_plans(spec(**fields), data())


def test_a_hundred_thousand_examples():
    found = plan(valid=100_000, valid_examples=60_000, train=100_000, train_per_scaffold=40_000)
    assert len(found) == 200_000
    assert found.runs["valid_59999"].id.startswith("v") and found.runs["train_39999"].id.startswith("t")
