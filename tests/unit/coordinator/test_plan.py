"""Plans: which examples are drawn, in which order, and what cannot be planned."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.plan import plan_iteration
from shared.errors import SpecError
from shared.models.example import Example
from shared.models.plan import Plan
from shared.models.spec import LoopSpec


def examples(count: int, name: str = "v") -> list[Example]:
    return [Example(id=f"{name}{index}", input=f"question {index}") for index in range(count)]


def plan(iteration: int = 0, *, valid: int = 10, train: int = 0, **loop: int) -> Plan:
    data = {"valid": examples(valid), "train": examples(train, "t"), "test": examples(3, "x")}
    return plan_iteration("e_1", iteration, LoopSpec(**loop), data, ["0", "1"])


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


def test_training_examples_alone_can_be_planned():
    assert list(plan(valid=0, train=5, train_per_scaffold=2).runs) == ["train_0", "train_1"]


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 30), more=st.integers(0, 30), seed=st.integers(), iteration=st.integers(0, 9))
def test_a_sample_is_a_subset_in_file_order_decided_by_the_seed(size, more, seed, iteration):
    found = plan(iteration, valid=size + more, valid_examples=size, seed=seed)
    ids = drawn(found)
    numbers = [int(name[1:]) for name in ids]
    assert len(set(numbers)) == size and numbers == sorted(numbers) and numbers[-1] < size + more
    assert found == plan(iteration, valid=size + more, valid_examples=size, seed=seed)


def test_another_seed_draws_another_sample():
    assert drawn(plan(valid=100, valid_examples=20, seed=1)) != drawn(plan(valid=100, valid_examples=20, seed=2))


def test_the_sample_of_a_seed_is_fixed_for_ever():
    assert drawn(plan(valid=10, valid_examples=3, seed=0)) == ["v0", "v1", "v3"]


@pytest.mark.parametrize(
    ("loop", "expected"),
    [
        ({"valid_examples": 11}, "loop.valid_examples is 11, but data.valid has 10 examples"),
        ({"valid": 0, "valid_examples": 1}, "loop.valid_examples is 1, but data.valid has no examples"),
        ({"train_per_scaffold": 1}, "loop.train_per_scaffold is 1, but data.train has no examples"),
        ({"valid": 0, "train": 5}, "There is nothing to run"),
    ],
)
def test_what_cannot_be_planned(loop, expected):
    with pytest.raises(SpecError) as caught:
        plan(**loop)
    assert expected in str(caught.value)


def test_a_hundred_thousand_examples():
    found = plan(valid=100_000, valid_examples=60_000, train=100_000, train_per_scaffold=40_000)
    assert len(found) == 200_000
    assert found.runs["valid_59999"].id.startswith("v") and found.runs["train_39999"].id.startswith("t")
