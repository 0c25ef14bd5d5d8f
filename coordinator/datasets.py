"""Reading a spec's datasets: JSON Lines files, one example a line."""

import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from shared.errors import DatasetError
from shared.models.example import Example
from shared.models.ids import SPLITS, Split
from shared.models.spec import DataSpec, SeedSplit, SplitSpec
from shared.registry import nearest

MAX_ID = 512


def load_data(data: DataSpec | SeedSplit, folder: Path) -> dict[Split, list[Example]]:
    """The examples of each split that ``data`` gives, in the order of their files."""
    if isinstance(data, SeedSplit):
        return _divide(data, load_split(data, folder))
    parts = {split: getattr(data, split) for split in SPLITS}
    return {split: load_split(part, folder) for split, part in parts.items() if part is not None}


def load_split(part: SplitSpec | SeedSplit, folder: Path) -> list[Example]:
    """The examples of one file, which is read no further than they reach; ``folder`` is the spec's.

    Raises DatasetError that names the file and, where there is one, the line.
    """
    path = folder / Path(part.path).expanduser()
    examples: list[Example] = []
    lines_of: dict[str, int] = {}
    total = 0
    for total, (number, line) in enumerate(_lines(path), start=1):
        if total <= part.offset:
            continue
        example = _example(line, part, f"{path}, line {number}", number)
        if example.id in lines_of:
            raise DatasetError(
                f"{path}: lines {lines_of[example.id]} and {number} both hold an example with the id {example.id!r}; "
                "give each its own."
            )
        lines_of[example.id] = number
        examples.append(example)
        if len(examples) == part.limit:
            break
    if not total:
        raise DatasetError(f"{path} is empty; it must hold one JSON object a line.")
    if not examples:
        raise DatasetError(f"{path} has {total} examples, so none are left after an offset of {part.offset}.")
    return examples


def overlaps(data: DataSpec | SeedSplit) -> list[str]:
    """A sentence for each two splits that share lines of one file, as far as the spec alone can tell."""
    if isinstance(data, SeedSplit):
        return []
    given = [(split, part) for split in SPLITS if (part := getattr(data, split)) is not None]
    return [
        f"data.{one} and data.{other} both read {first.path} and share examples of it; "
        "set offset and limit so that they do not."
        for (one, first), (other, second) in combinations(given, 2)
        if Path(first.path) == Path(second.path) and _meet(first, second)
    ]


def data_digest(examples: Iterable[Example]) -> str:
    """``sha256:`` and the digest of the examples, in their order: ids, inputs and fields."""
    digest = hashlib.sha256()
    for example in examples:
        line = json.dumps([example.id, example.input, example.fields], sort_keys=True, separators=(",", ":"))
        digest.update(line.encode() + b"\n")
    return f"sha256:{digest.hexdigest()}"


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, each with its number from 1."""
    if path.exists() and not path.is_file():
        raise DatasetError(f"The dataset {str(path)!r} cannot be read: it is not a file.")
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                text = _decode(line, path, number).rstrip("\r\n")
                if text.strip():
                    yield number, text
    except FileNotFoundError:
        raise DatasetError(f"There is no dataset {path}; paths in a spec count from the spec's folder.") from None
    except (OSError, ValueError) as error:
        raise DatasetError(f"The dataset {str(path)!r} cannot be read: {error}.") from None


def _decode(line: bytes, path: Path, number: int) -> str:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise DatasetError(f"{path}, line {number}: this is not text in UTF-8; a dataset is one JSON object a line.")
    return text


def _example(line: str, part: SplitSpec | SeedSplit, where: str, number: int) -> Example:
    record = _parse(line, where)
    text = _field(record, part.input, "input", where)
    if text is None:
        raise DatasetError(f"{where}: the input field {part.input!r} is null; it must hold what the scaffold is given.")
    return Example(
        id=str(number) if part.id is None else _id(_field(record, part.id, "id", where), part.id, where),
        input=text if isinstance(text, str) else json.dumps(text, ensure_ascii=False),
        fields={name: value for name, value in record.items() if name != part.input},
    )


def _parse(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line, parse_constant=_no_number, parse_float=_finite)
        if "\\u" in line:
            json.dumps(record, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise DatasetError(f"{where}: this is not JSON ({error.msg} at column {error.colno}).") from None
    except UnicodeEncodeError:
        raise DatasetError(f"{where}: half of a surrogate pair (such as \\ud800) is no character.") from None
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where}: this is not JSON that can be used ({error}).") from None
    if not isinstance(record, dict):
        raise DatasetError(f"{where}: this is JSON, but no object; write {{...}} with the example's fields.")
    return record


def _field(record: dict[str, Any], name: str, role: str, where: str) -> Any:
    if name not in record:
        raise DatasetError(f"{where}: there is no field {name!r} (data's {role!r}){nearest(name, sorted(record))}")
    return record[name]


def _id(value: Any, name: str, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or not 0 < len(str(value)) <= MAX_ID:
        raise DatasetError(f"{where}: the id field {name!r} must hold a number or a text of 1 to {MAX_ID} characters.")
    return str(value)


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large a number")
    return number


def _divide(part: SeedSplit, examples: Sequence[Example]) -> dict[Split, list[Example]]:
    """Shuffle once by seed, cut by the shares one after the other; within a split the file's order stays."""
    order = list(range(len(examples)))
    random.Random(part.seed).shuffle(order)
    splits: dict[Split, list[Example]] = {}
    start, share = 0, 0.0
    for split in SPLITS:
        if split not in part.split:
            continue
        share += part.split[split]
        end = min(round(share * len(order)), len(order))
        splits[split] = [examples[index] for index in sorted(order[start:end])]
        start = end
        if not splits[split]:
            raise DatasetError(
                f"data.split.{split} is {part.split[split]:g} of {len(order)} examples of {part.path}, which is none; "
                "give it a larger share."
            )
    return splits


def _meet(first: SplitSpec, second: SplitSpec) -> bool:
    early, late = sorted((first, second), key=lambda part: part.offset)
    return early.limit is None or early.offset + early.limit > late.offset
