"""A YAML file, and values given on the command line, as plain data that remembers where each part was written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from shared.errors import SpecError

MAX_BYTES = 1024**2
"""A spec is written by hand; what is larger is another kind of file."""

FieldPath = tuple[str, ...]


@dataclass
class Document:
    """``data`` as parsed, and for each field's path where it stands: ``line 4`` or ``--set loop.seed=1``."""

    name: str
    data: dict[str, Any]
    where: dict[FieldPath, str]

    def place_of(self, path: FieldPath) -> str:
        """Where the field stands, or the nearest field around it that was written."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.where:
                return self.where[path[:length]]
        return ""


def read_document(path: Path) -> Document:
    """The YAML 1.2 mapping in ``path``; raises SpecError with the line where there is none."""
    text = _read_text(path)
    try:
        root = _yaml().compose(text)
        where = {field: f"line {line}" for field, line in _lines(root, (), ())}
        data = _yaml().load(text)
    except DuplicateKeyError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SpecError(f"{path}{line}: a field is written twice ({error.problem}); keep one of them.") from None
    except YAMLError as error:
        raise SpecError(f"{path}{_line_of(error)}: this is not valid YAML ({_reason(error)}).") from None
    except ValueError as error:  # a number, date or reference that YAML's grammar allows and no value can be
        raise SpecError(f"{path}: this is not valid YAML ({error}).") from None
    except RecursionError:
        raise SpecError(f"{path}: this is nested too deeply for a spec.") from None
    if data is None:
        raise SpecError(f"{path} is empty; write a spec in it (docs/spec.md shows one).")
    if not isinstance(data, dict):
        raise SpecError(f"{path} holds no mapping: a spec is a list of 'name: value' lines (docs/spec.md shows one).")
    return Document(str(path), data, where)


def parse_value(text: str) -> Any:
    """The value that ``text`` writes as a YAML scalar or in brackets; raises SpecError where brackets do not close.

    Whatever else is no scalar of YAML (``Solve: a riddle``) is the text itself.
    """
    try:
        value = _yaml().load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        if text.lstrip()[:1] in ("{", "[", '"', "'"):
            raise SpecError(f"{text!r} is not a valid YAML value ({_reason(error)}).") from None
        return text
    if isinstance(value, dict | list) and text.lstrip()[:1] not in ("{", "["):
        return text
    return value


def apply_overrides(document: Document, overrides: Sequence[str]) -> Document:
    """The document with each ``a.b=value`` of ``overrides`` put in its place; mappings that are not there are made.

    Raises SpecError for what cannot be done to the data; whether a field exists is for the model to say.
    """
    for override in overrides:
        name, equals, text = override.partition("=")
        path = tuple(name.strip().split("."))
        if not equals:
            raise SpecError(f'--set {override} has no "="; write it as --set {name or "executor.timeout"}=VALUE.')
        if not all(path):
            raise SpecError(f"--set {override} names no field; write it as --set executor.timeout=60.")
        try:
            _put(document, path, parse_value(text), f"--set {override}")
        except SpecError as error:
            raise SpecError(f"--set {override}: {error}") from None
    return document


def _put(document: Document, path: FieldPath, value: Any, place: str) -> None:
    holder: Any = document.data
    for depth, part in enumerate(path[:-1], start=1):
        if isinstance(holder, dict) and holder.get(part) is None:
            holder[part] = {}
            document.where[path[:depth]] = place
        holder = holder[_key(holder, part, path[: depth - 1])]
    holder[_key(holder, path[-1], path[:-1])] = value
    for below in [field for field in document.where if field[: len(path)] == path]:
        del document.where[below]
    document.where[path] = place


def _key(holder: Any, part: str, path: FieldPath) -> Any:
    """``part`` as a key of ``holder``, which stands at ``path``."""
    if isinstance(holder, dict):
        return part
    name = ".".join(path)
    if not isinstance(holder, list):
        raise SpecError(f"{name} is a single value, so it has no {part!r} in it.")
    if not (part.isdecimal() and part.isascii() and int(part) < len(holder)):
        raise SpecError(f"{name} has {len(holder)} entries, counted from 0; {part!r} is none of them.")
    return int(part)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SpecError(f"There is no spec {path}; give the path of a YAML file.") from None
    except IsADirectoryError:
        inside = sorted(entry.name for entry in path.glob("*.y*ml"))
        hint = path / inside[0] if inside else path / "experiment.yaml"
        raise SpecError(f"{path} is a directory; give the spec in it, such as {hint}.") from None
    except (OSError, ValueError) as error:
        raise SpecError(f"{str(path)!r} cannot be read: {error}.") from None
    if len(data) > MAX_BYTES:
        raise SpecError(f"{path} is larger than {MAX_BYTES // 1024**2} MB; that is no spec.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise SpecError(f"{path} is not a text file in UTF-8; a spec is YAML.")
    return text


def _lines(node: Node | None, path: FieldPath, above: tuple[int, ...]) -> Iterator[tuple[FieldPath, int]]:
    """Each field's path with the line (from 1) its name stands on."""
    if id(node) in above:
        raise ValueError(f"{'.'.join(path)} contains itself")
    above = (*above, id(node))
    if isinstance(node, MappingNode):
        for key, value in node.value:
            field = (*path, str(key.value))
            yield field, key.start_mark.line + 1
            yield from _lines(value, field, above)
    elif isinstance(node, SequenceNode):
        for index, value in enumerate(node.value):
            field = (*path, str(index))
            yield field, value.start_mark.line + 1
            yield from _lines(value, field, above)


def _yaml() -> YAML:
    return YAML(typ="safe", pure=True)


def _line_of(error: YAMLError) -> str:
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    return f", line {mark.line + 1}" if mark else ""


def _reason(error: Exception) -> str:
    reason = error.problem if isinstance(error, MarkedYAMLError) else None
    return str(reason or str(error) or type(error).__name__).splitlines()[0]
