"""Datasets: what is read from JSON Lines, how splits are cut, and every file that is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.datasets import data_digest, load_data, load_split, overlaps
from shared.errors import DatasetError
from shared.models.example import Example
from shared.models.spec import DataSpec, SeedSplit, SplitSpec

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes | list[object], name: str = "data.jsonl") -> Path:
        if isinstance(content, list):
            content = "".join(json.dumps(record) + "\n" for record in content)
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return write


def part(**fields: object) -> SplitSpec:
    return SplitSpec.model_validate({"path": "data.jsonl", **fields})


def rows(count: int) -> list[object]:
    return [{"input": f"question {index}", "answer": index} for index in range(count)]


def test_fields_are_mapped_and_the_input_is_kept_apart(write):
    folder = write([{"task_id": "T/1", "prompt": "def f():", "test": "assert f()", "level": 3}])
    assert load_split(part(input="prompt", id="task_id"), folder) == [
        Example(id="T/1", input="def f():", fields={"task_id": "T/1", "test": "assert f()", "level": 3})
    ]


def test_without_an_id_field_the_line_number_names_an_example(write):
    folder = write('{"input": "a"}\n\n  \n{"input": "b"}')
    assert [example.id for example in load_split(part(), folder)] == ["1", "4"]


def test_offset_and_limit_count_examples_and_nothing_else_is_parsed(write):
    folder = write('no json\n{"input": "a"}\n\n{"input": "b"}\n{"input": "c"}\nno json\n')
    assert [example.input for example in load_split(part(offset=1, limit=3), folder)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (1.5, "1.5"),
        (True, "true"),
        ([1, "é"], '[1, "é"]'),
        ({"a": None}, '{"a": null}'),
        ("", ""),
        ("5", "5"),
    ],
)
def test_an_input_that_is_no_text_is_given_as_json(write, value, text):
    assert load_split(part(), write([{"input": value}]))[0].input == text


def test_a_byte_order_mark_crlf_and_long_lines_are_accepted(write):
    long = "x" * 5_000_000
    folder = write(b"\xef\xbb\xbf" + f'{{"input": "a"}}\r\n{{"input": "{long}\u2028"}}\r\n'.encode())
    assert [len(example.input) for example in load_split(part(), folder)] == [1, 5_000_001]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "is empty; it must hold one JSON object a line"),
        ("\n\n \n", "is empty"),
        (b"\x1f\x8b\x08\x00\xff\xff", "line 1: this is not text in UTF-8"),
        (b'{"input": "a"}\n{"input": "\xff"}\n', "line 2: this is not text in UTF-8"),
        (b'{"input": "a"}\n\0\0\0\n', "line 2: this is not text in UTF-8"),
        ('{"input": "a"}\n{"input": \n', "line 2: this is not JSON (Expecting value at column 11)"),
        ('{"input": "a"}\ninput,answer\n', "line 2: this is not JSON"),
        ('{"input": "a"} {"input": "b"}\n', "line 1: this is not JSON (Extra data"),
        ('["a"]\n', "line 1: this is JSON, but no object"),
        ('"a"\n', "line 1: this is JSON, but no object"),
        ('{"inputs": "a"}\n', "line 1: there is no field 'input' (data's 'input'); did you mean 'inputs'?"),
        ("{}\n", "line 1: there is no field 'input'"),
        ('{"input": null}\n', "line 1: the input field 'input' is null"),
        ('{"input": "a", "answer": NaN}\n', "line 1: this is not JSON that can be used (NaN is no JSON number)"),
        ('{"input": "a", "answer": 1e999}\n', "line 1: this is not JSON that can be used (1e999 is too large"),
        ('{"input": "a", "answer": ' + "9" * 5000 + "}\n", "line 1: this is not JSON that can be used"),
        ('{"input": ' + "[" * 100_000 + "\n", "line 1: this is not JSON"),
        ('{"input": "\\ud800"}\n', "line 1: half of a surrogate pair"),
    ],
)
def test_a_file_that_is_refused(write, content, expected):
    folder = write(content)
    with pytest.raises(DatasetError) as caught:
        load_split(part(), folder)
    assert expected in str(caught.value)
    assert str(folder / "data.jsonl") in str(caught.value)


@pytest.mark.parametrize("value", [None, True, 1.5, [], "", "x" * 513])
def test_an_id_that_is_no_id(write, value):
    folder = write([{"input": "a", "name": value}])
    with pytest.raises(DatasetError, match="line 1: the id field 'name' must hold a number or a text"):
        load_split(part(id="name"), folder)


def test_a_duplicate_id_names_both_lines(write):
    folder = write([{"input": "a", "id": 7}, {"input": "b", "id": 8}, {"input": "c", "id": "7"}])
    with pytest.raises(DatasetError, match="lines 1 and 3 both hold an example with the id '7'"):
        load_split(part(id="id"), folder)


def test_the_same_id_in_two_splits_is_fine(write):
    write(rows(3), "train.jsonl")
    folder = write(rows(3), "valid.jsonl")
    data = load_data(DataSpec(train=SplitSpec(path="train.jsonl"), valid=SplitSpec(path="valid.jsonl")), folder)
    assert [example.id for example in data["train"]] == [example.id for example in data["valid"]] == ["1", "2", "3"]


def test_an_offset_beyond_the_end(write):
    folder = write(rows(3))
    with pytest.raises(DatasetError, match="has 3 examples, so none are left after an offset of 3"):
        load_split(part(offset=3), folder)


def test_a_missing_dataset_and_a_directory(tmp_path):
    with pytest.raises(DatasetError, match=r"There is no dataset .*no\.jsonl"):
        load_split(SplitSpec(path="no.jsonl"), tmp_path)
    with pytest.raises(DatasetError, match="cannot be read"):
        load_split(SplitSpec(path="."), tmp_path)
    with pytest.raises(DatasetError, match="cannot be read"):
        load_split(SplitSpec(path="a\0b"), tmp_path)


def test_paths_count_from_the_folder_unless_absolute(write, tmp_path):
    folder = write(rows(2))
    assert load_split(part(), folder) == load_split(part(path=str(folder / "data.jsonl")), Path("/nowhere"))


def seed_split(shares: dict[str, float], seed: int = 0) -> SeedSplit:
    return SeedSplit.model_validate({"path": "data.jsonl", "split": shares, "seed": seed})


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(10, 60),
    seed=st.integers(),
    shares=st.sampled_from([{"train": 0.5, "valid": 0.5}, {"valid": 0.2, "train": 0.7, "test": 0.1}, {"test": 1}]),
)
def test_a_split_by_seed_shares_out_each_example_once(tmp_path_factory, count, seed, shares):
    folder = tmp_path_factory.getbasetemp()
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(count)))
    data = load_data(seed_split(shares, seed), folder)
    assert list(data) == [split for split in ("train", "valid", "test") if split in shares]
    ids = [example.id for examples in data.values() for example in examples]
    assert sorted(ids, key=int) == [str(number) for number in range(1, count + 1)]
    for split, examples in data.items():
        assert abs(len(examples) - shares[split] * count) <= 1
        assert [example.id for example in examples] == sorted((example.id for example in examples), key=int)
    assert data == load_data(seed_split(dict(reversed(shares.items())), seed), folder)


def test_another_seed_cuts_otherwise_and_shares_may_leave_some_out(write):
    folder = write(rows(100))
    first, second = (load_data(seed_split({"valid": 0.3}, seed), folder)["valid"] for seed in (0, 1))
    assert len(first) == len(second) == 30
    assert first != second


def test_a_share_of_nothing_is_refused(write):
    folder = write(rows(3))
    with pytest.raises(DatasetError, match=r"data\.split\.test is 0\.1 of 3 examples"):
        load_data(seed_split({"train": 0.9, "test": 0.1}), folder)


@pytest.mark.parametrize(
    ("valid", "test", "shared"),
    [
        ({"limit": 500}, {"offset": 500}, False),
        ({}, {"offset": 500}, True),
        ({"limit": 501}, {"offset": 500}, True),
        ({"offset": 500}, {"limit": 500}, False),
        ({"offset": 10, "limit": 5}, {"offset": 15, "limit": 5}, False),
        ({"offset": 10, "limit": 5}, {"offset": 14, "limit": 1}, True),
        ({}, {"path": "other.jsonl"}, False),
        ({}, {"path": "./data.jsonl"}, True),
    ],
)
def test_overlaps(valid, test, shared):
    found = overlaps(DataSpec(valid=part(**valid), test=part(**test)))
    assert bool(found) is shared
    assert not shared or "data.valid and data.test both read data.jsonl" in found[0]


def test_one_file_divided_by_seed_never_overlaps():
    assert overlaps(seed_split({"train": 0.5, "valid": 0.5})) == []


def test_the_digest_changes_with_anything_in_the_examples_and_nothing_else():
    base = Example(id="1", input="a", fields={"x": 1, "y": 2})
    same = Example(id="1", input="a", fields={"y": 2, "x": 1})
    digest = data_digest([base])
    assert digest.startswith("sha256:") and len(digest) == 71
    assert data_digest([same]) == digest
    changed = [
        [],
        [base, base],
        [Example(id="2", input="a", fields={"x": 1, "y": 2})],
        [Example(id="1", input="b", fields={"x": 1, "y": 2})],
        [Example(id="1", input="a", fields={"x": 1, "y": "2"})],
    ]
    assert len({digest, *map(data_digest, changed)}) == 6
