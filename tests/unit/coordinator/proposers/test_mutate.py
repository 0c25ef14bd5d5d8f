"""Varying the values of a scaffold's PARAMETERS."""

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from coordinator.proposers import Proposer, build_proposer, check_proposer
from coordinator.proposers.mutate import variant
from coordinator.proposers.parameters import ParametersError, read_parameters, write_values
from shared.errors import SpecError
from shared.models.spec import ProposerSpec
from tests.proposing import PLAIN, FakeClient, child, first, scaffold, task

MUTATE = ProposerSpec(name="mutate")
BODY = "\n\ndef process_input(input_string):\n    return input_string\n"


def proposer(**changed: Any) -> Proposer:
    return build_proposer(MUTATE, task(**changed), {}, lambda model: FakeClient())


def values(code: str) -> dict[str, Any]:
    scope = next(node for node in ast.parse(code).body if isinstance(node, ast.Assign))
    return {name: parameter["value"] for name, parameter in ast.literal_eval(scope.value).items()}


def with_table(table: str) -> str:
    return f"PARAMETERS = {table}{BODY}"


whole = st.tuples(st.integers(-50, 50), st.integers(0, 60)).flatmap(
    lambda ends: st.integers(ends[0], ends[0] + ends[1]).map(
        lambda value: {"value": value, "range": [ends[0], ends[0] + ends[1]]}
    )
)
fraction = st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e6)).flatmap(
    lambda ends: st.floats(ends[0], ends[0] + ends[1]).map(
        lambda value: {"value": value, "range": [ends[0], ends[0] + ends[1]]}
    )
)
choice = st.lists(
    st.none() | st.booleans() | st.integers() | st.text(), min_size=1, unique_by=lambda one: (type(one), one)
).flatmap(lambda choices: st.sampled_from(choices).map(lambda value: {"value": value, "choices": choices}))
tables = st.dictionaries(st.text(max_size=5), whole | fraction | choice, min_size=1, max_size=4)


@given(
    table=tables,
    before=st.sampled_from(["", "# ü\r\n", '"""Doc."""\n\f\n', "x = 1\ry = 2\n"]),
    seed=st.integers(),
    place=st.integers(0, 5),
)
def test_only_the_values_change_and_they_stay_in_range(table: Any, before: str, seed: int, place: int) -> None:
    written = repr(table).replace("{'value'", "{ # ö\n  'value'")
    code = f"{before}PARAMETERS = {written} # '1'{BODY}"
    try:
        parameters = read_parameters(code)
    except ParametersError as error:
        assert "another value" in str(error)
        assume(False)
    changed = variant(parameters, place, str(seed))
    child = write_values(code, parameters, changed)
    assert changed
    assert child != code
    again = read_parameters(child)
    originals = {parameter.name: parameter.value for parameter in parameters}
    assert write_values(child, again, originals) == write_values(code, parameters, originals)
    for old, new in zip(parameters, again, strict=True):
        assert (old.name, old.low, old.high, old.choices) == (new.name, new.low, new.high, new.choices)
        assert new.value == changed.get(old.name, old.value)
        assert type(new.value) is type(changed.get(old.name, old.value))


def test_a_child_is_its_parent_but_for_the_values() -> None:
    draft = proposer().propose(child())
    assert draft.code is not None
    lines = list(zip(PLAIN.splitlines(True), draft.code.splitlines(True), strict=True))
    assert {number for number, (old, new) in enumerate(lines) if old != new} <= {4, 5, 6}
    assert draft.code != PLAIN
    assert draft.notes["changed"] == {
        name: value for name, value in values(draft.code).items() if value != values(PLAIN)[name]
    }


def test_it_follows_from_the_seed_and_the_place() -> None:
    def codes(seed: int) -> list[str | None]:
        return [proposer().propose(child(index, seed=seed)).code for index in range(20)]

    assert codes(0) == codes(0)
    assert codes(0) != codes(1)
    assert len(set(codes(0))) == 20


def test_small_spaces_are_used_up_before_anything_comes_twice() -> None:
    code = with_table('{"a": {"value": 0, "range": [0, 3]}, "b": {"value": "x", "choices": ["x", "y"]}}')
    codes = [proposer().propose(child(index, code=code)).code for index in range(10)]
    assert len(set(codes[:7])) == 7
    assert code not in codes
    assert len(set(codes)) == 7


def test_all_values_of_a_range_are_tried_in_the_end() -> None:
    codes = [proposer().propose(child(index)).code or "" for index in range(60)]
    assert {values(code)["votes"] for code in codes} == set(range(1, 10))
    assert {values(code)["style"] for code in codes} == {"short", "long", "größer"}
    assert {0.0, 1.0} & {values(code)["heat"] for code in codes}


def test_a_first_generation_varies_the_given_ones_in_turn() -> None:
    other = PLAIN.replace("Asks.", "Other.")
    mutate = proposer(given=(scaffold(), scaffold(other)))
    codes = [mutate.propose(first(index)).code or "" for index in range(4)]
    assert ["Other." in code for code in codes] == [False, True, False, True]
    assert len({*codes, PLAIN, other}) == 6


BAD = [
    ("{}", "not a literal"),
    ("dict(a=1)", "not a literal"),
    ('{"a": 1}', "is not written as"),
    ('{1: {"value": 1, "range": [1, 2]}}', "must be plain texts"),
    ("{**x}", "must be plain texts"),
    ('{"a": {"value": 1}}', 'needs "value" and either'),
    ('{"a": {"range": [1, 2]}}', 'needs "value" and either'),
    ('{"a": {"value": 1, "range": [1, 2], "choices": [1]}}', 'needs "value" and either'),
    ('{"a": {"value": 1, "rangge": [1, 2]}}', "unknown key 'rangge'; did you mean 'range'"),
    ('{"a": {"value": 1, "range": []}}', "not two numbers"),
    ('{"a": {"value": 1, "range": [1, 2, 3]}}', "not two numbers"),
    ('{"a": {"value": 1, "range": [True, 2]}}', "not two numbers"),
    ('{"a": {"value": 1, "range": [1, 1e999]}}', "not two numbers"),
    ('{"a": {"value": 1, "range": ["1", "2"]}}', "not two numbers"),
    ('{"a": {"value": 1, "range": [9, 1]}}', "range is empty: 9 is more than 1"),
    ('{"a": {"value": 0.0, "range": [-1e308, 1e308]}}', "too wide"),
    ('{"a": {"value": 10, "range": [1, 9]}}', "lies outside its range"),
    ('{"a": {"value": "x", "range": [1, 9]}}', "is no number"),
    ('{"a": {"value": 1, "choices": []}}', "choices are empty"),
    ('{"a": {"value": 1, "choices": [2, 3]}}', "none of its choices"),
    ('{"a": {"value": True, "choices": [1, 0]}}', "none of its choices"),
    ('{"a": {"value": 1, "choices": [1, 1]}}', "there twice"),
    ('{"a": {"value": 1, "choices": [1, [2]]}}', "must be texts, numbers"),
    ('{"a": {"value": f(), "range": [1, 2]}}', "its value is not a literal"),
    ('{"a": {"value": 1, "range": [1, LAST]}}', "its range is not a literal"),
    ('{"a": {"value": 1, "range": [1, 1]}}', "may have another value"),
    ('{"a": {"value": 1, "range": [1, 2]}, "a": {"value": 1, "range": [1, 2]}}', "has 'a' twice"),
    ('{"a": {"value": 1, "value": 2, "range": [1, 2]}}', "has 'value' twice"),
]


@pytest.mark.parametrize(("table", "words"), BAD)
def test_bad_parameters_are_told_before_and_recorded_later(table: str, words: str) -> None:
    code = with_table(table)
    with pytest.raises(SpecError, match=r"cannot vary the scaffold mine: ") as refused:
        check_proposer(MUTATE, [scaffold(code, source="mine")], Path())
    assert words in str(refused.value)
    draft = proposer().propose(child(code=code))
    assert draft.code is None
    assert words in (draft.problem or "")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (BODY, "declares no PARAMETERS"),
        ("if True:\n    PARAMETERS = {}" + BODY, "declares no PARAMETERS"),
        (with_table("{}") + "PARAMETERS = {}\n", "more than once"),
        ("PARAMETERS: dict" + BODY, "not a literal"),
        ("PARAMETERS = {", "line 1 of its code is not valid Python"),
        ("\0", "null bytes"),
        ("x = '\ud800'", "cannot be parsed"),
    ],
)
def test_no_parameters_at_all(code: str, words: str) -> None:
    with pytest.raises(ParametersError, match=words):
        read_parameters(code)


def test_an_annotated_table_will_do() -> None:
    code = 'PARAMETERS: dict = {"a": {"value": 1, "range": [1, 2]}}' + BODY
    assert proposer().propose(child(code=code)).code == code.replace('"value": 1', '"value": 2')


def test_nothing_to_vary() -> None:
    with pytest.raises(SpecError, match="give some in scaffolds"):
        check_proposer(MUTATE, [], Path())


def test_a_wide_space_is_not_counted_out() -> None:
    code = with_table('{"a": {"value": 0, "range": [0, 1000000000000000000000000000]}}')
    codes = {proposer().propose(child(index, code=code)).code for index in range(30)}
    assert len(codes) == 30
