"""The parameters that a scaffold declares, read from its text and written back into it. Its code is never run.

    PARAMETERS = {
        "votes": {"value": 1, "range": [1, 9]},
        "temperature": {"value": 0.2, "range": [0.0, 1.0]},
        "style": {"value": "short", "choices": ["short", "long"]},
    }

stands once at the scaffold's top level, and is a literal throughout. The scaffold itself reads
``PARAMETERS["votes"]["value"]``.
"""

import ast
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from shared.models.base import Frozen
from shared.registry import nearest

NAME = "PARAMETERS"
_KEYS = ("choices", "range", "value")
_LINE_END = re.compile(r"\r\n|\r|\n")
Value = str | int | float | bool | None


class ParametersError(ValueError):
    """A scaffold declares no parameters that could be varied; the message is a sentence."""


class Span(Frozen):
    """The byte offsets of a value's text in the scaffold's."""

    start: int
    end: int


class Parameter(Frozen):
    """One parameter: its value, where that stands, and which values it may have instead."""

    name: str
    value: Any
    at: Span
    low: int | float | None = None
    high: int | float | None = None
    choices: tuple[Any, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether it takes whole numbers alone: its value and both ends of its range are written as such."""
        return all(isinstance(number, int) for number in (self.value, self.low, self.high))

    @property
    def size(self) -> float:
        """How many values it may have."""
        if self.low is None or self.high is None:
            return len(self.choices)
        if self.whole:
            return int(self.high) - int(self.low) + 1
        return math.inf if self.high > self.low else 1


def read_parameters(code: str) -> tuple[Parameter, ...]:
    """The parameters that ``code`` declares, in order. Raises ParametersError, which says what is wrong with them."""
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        raise ParametersError(f"line {error.lineno} of its code is not valid Python ({error.msg})") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ParametersError(f"its code cannot be parsed ({error})") from None
    table = _table(tree)
    starts = _line_starts(code)
    parameters = tuple(_parameter(name, node, starts) for name, node in _items(table, NAME))
    if not any(parameter.size > 1 for parameter in parameters):
        raise ParametersError(f"no parameter in its {NAME} may have another value than it has")
    return parameters


def write_values(code: str, parameters: Iterable[Parameter], values: Mapping[str, Value]) -> str:
    """``code`` with the named parameters' values in the place of the old ones, and not a byte changed elsewhere."""
    data = code.encode()
    changed = [parameter for parameter in parameters if parameter.name in values]
    for parameter in sorted(changed, key=lambda one: one.at.start, reverse=True):
        literal = _written(values[parameter.name]).encode()
        data = data[: parameter.at.start] + literal + data[parameter.at.end :]
    return data.decode()


def _written(value: Value) -> str:
    """The value as a literal, a text in double quotes where that needs no escapes."""
    text = repr(value)
    return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text


def _table(tree: ast.Module) -> ast.Dict:
    """The one ``PARAMETERS = {...}``; a bare annotation of it counts as one that is no literal."""
    found: list[ast.expr | None] = []
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == NAME for target in targets):
                found.append(node.value)
    if not found:
        raise ParametersError(f"it declares no {NAME} = {{...}} at its top level")
    if len(found) > 1:
        raise ParametersError(f"it assigns {NAME} more than once")
    if not isinstance(found[0], ast.Dict) or not found[0].keys:
        raise ParametersError(f"its {NAME} is not a literal {{...}} with a parameter in it")
    return found[0]


def _items(table: ast.Dict, where: str) -> Iterator[tuple[str, ast.expr]]:
    seen: set[str] = set()
    for key, value in zip(table.keys, table.values, strict=True):
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            raise ParametersError(f"line {value.lineno}: the keys of {where} must be plain texts")
        if key.value in seen:
            raise ParametersError(f"line {key.lineno}: {where} has {key.value!r} twice")
        seen.add(key.value)
        yield key.value, value


def _parameter(name: str, node: ast.expr, starts: list[int]) -> Parameter:
    where = f"line {node.lineno}: the parameter {name!r}"
    if not isinstance(node, ast.Dict):
        raise ParametersError(f'{where} is not written as {{"value": ..., "range": [LOW, HIGH]}}')
    fields = dict(_items(node, f"the parameter {name!r}"))
    for key in fields:
        if key not in _KEYS:
            raise ParametersError(f"{where} has the unknown key {key!r}{nearest(key, list(_KEYS))}".rstrip("."))
    if "value" not in fields or ("range" in fields) == ("choices" in fields):
        raise ParametersError(f'{where} needs "value" and either "range" or "choices"')
    literals = {key: _literal(field, f"{where}: its {key}") for key, field in fields.items()}
    at = Span(start=_offset(fields["value"], starts), end=_offset(fields["value"], starts, end=True))
    parameter = Parameter(name=name, value=literals["value"], at=at, **_bounds(literals, where))
    _check_value(parameter, where)
    return parameter


def _bounds(literals: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The range or the choices, checked."""
    if "choices" in literals:
        choices = literals["choices"]
        if not isinstance(choices, list | tuple) or not choices:
            raise ParametersError(f"{where}: its choices are empty, or no list")
        if not all(choice is None or isinstance(choice, str | bool) or _is_number(choice) for choice in choices):
            raise ParametersError(f"{where}: its choices must be texts, numbers, True, False or None")
        if len({same(choice) for choice in choices}) < len(choices):
            raise ParametersError(f"{where}: one of its choices is there twice")
        return {"choices": tuple(choices)}
    ends = literals["range"]
    if not isinstance(ends, list | tuple) or len(ends) != 2 or not all(map(_is_number, ends)):
        raise ParametersError(f"{where}: its range is not two numbers [LOW, HIGH]")
    if ends[0] > ends[1]:
        raise ParametersError(f"{where}: its range is empty: {ends[0]!r} is more than {ends[1]!r}")
    if not math.isfinite(float(ends[1]) - float(ends[0])):
        raise ParametersError(f"{where}: its range is too wide")
    return {"low": ends[0], "high": ends[1]}


def _check_value(parameter: Parameter, where: str) -> None:
    if parameter.choices:
        if same(parameter.value) not in map(same, parameter.choices):
            raise ParametersError(f"{where}: its value {parameter.value!r} is none of its choices")
    elif not _is_number(parameter.value):
        raise ParametersError(f"{where}: its value {parameter.value!r} is no number, and it has a range")
    elif not parameter.low <= parameter.value <= parameter.high:
        raise ParametersError(f"{where}: its value {parameter.value!r} lies outside its range")


def same(value: Any) -> tuple[str, str]:
    """What tells values apart: 1, 1.0 and True are three of them."""
    return type(value).__name__, repr(value)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _literal(node: ast.expr, what: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise ParametersError(f"{what} is not a literal") from None


def _line_starts(code: str) -> list[int]:
    """The byte offset of each line's start, lines as Python counts them."""
    starts, position, offset = [0], 0, 0
    for match in _LINE_END.finditer(code):
        offset += len(code[position : match.end()].encode())
        position = match.end()
        starts.append(offset)
    return starts


def _offset(node: ast.expr, starts: list[int], end: bool = False) -> int:
    if not end:
        return starts[node.lineno - 1] + node.col_offset
    assert node.end_lineno is not None and node.end_col_offset is not None
    return starts[node.end_lineno - 1] + node.end_col_offset
