"""What is wrong with a spec, in words: from pydantic's errors to sentences."""

import json
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from coordinator.spec_yaml import Document, FieldPath
from shared.errors import SpecError
from shared.models.spec import DataSpec, ExperimentSpec, SeedSplit
from shared.registry import nearest

_KINDS = {bool: "the value {}", int: "the number {}", float: "the number {}", str: "the text {!r}"}

_WORDS: dict[str, str] = {
    "string_type": "must be text{hint}, not {got}",
    "int_type": "must be a whole number, not {got}",
    "int_from_float": "must be a whole number, not {got}",
    "float_type": "must be a number, not {got}",
    "finite_number": "must be a finite number, not {got}",
    "model_type": "must be a mapping ('name: value' lines), not {got}",
    "dict_type": "must be a mapping ('name: value' lines), not {got}",
    "tuple_type": "must be a list ('[a, b]', or a '- ' line for each entry), not {got}",
    "too_short": "needs at least {min_length} entry",
    "greater_than": "must be more than {gt}, not {got}",
    "greater_than_equal": "must be at least {ge}, not {got}",
    "less_than": "must be less than {lt}, not {got}",
    "less_than_equal": "must be at most {le}, not {got}",
    "literal_error": "must be {expected}, not {got}",
    "invalid_key": "is not text; a field's name is, so put it in quotes",
}


def validate(document: Document) -> ExperimentSpec:
    """The document as a spec; raises one SpecError that lists all that is wrong with it."""
    try:
        spec = ExperimentSpec.model_validate(document.data)
        _check_storable(spec, document.name)
        return spec
    except ValidationError as error:
        problems = _without_echoes(error.errors(include_url=False))
    lines = sorted((_sentence(document, problem) for problem in problems), key=_line_key)
    if len(lines) > 1:
        raise SpecError("\n".join([f"{document.name} has {len(lines)} problems:", *(f"  {line}" for line in lines)]))
    raise SpecError(lines[0] if lines[0].startswith("--set") else f"{document.name}, {lines[0]}")


def _check_storable(spec: ExperimentSpec, name: str) -> None:
    """A scorer's options may be any YAML; what the experiment keeps of them is JSON."""
    try:
        json.dumps(spec.model_dump(), default=str, ensure_ascii=False, allow_nan=False).encode()
        spec.model_dump_json()
    except UnicodeEncodeError:
        raise SpecError(f"{name}: half of a surrogate pair (such as \\ud800) is no character.") from None
    except ValueError as error:
        raise SpecError(f"{name} holds a value that JSON has no way to write ({error}).") from None


def _line_key(sentence: str) -> int:
    number = sentence.removeprefix("line ").partition(":")[0]
    return int(number) if number.isdecimal() else 0


def known_names(location: Sequence[str]) -> list[str]:
    """The names of the fields that the mapping at ``location`` (as pydantic gives it) may have, sorted."""
    models: list[type[BaseModel]] = [ExperimentSpec]
    for depth, part in enumerate(location):
        if depth == 1 and location[0] == "data":
            models = [SeedSplit if part == "seed" else DataSpec]
            continue
        holders = [model for model in models if part in model.model_fields]
        # A part that is no field is a name of the user's own: an alias in ``models``, an index of a list.
        models = [inner for model in holders for inner in _models(model.model_fields[part].annotation)] or models
    return sorted({name for model in models for name in model.model_fields})


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _path(problem: ErrorDetails) -> FieldPath:
    """The field's path as written in the file, without pydantic's own marks."""
    path = tuple(str(part) for part in problem["loc"] if part != "[key]")
    return (path[0], *path[2:]) if path[:1] == ("data",) else path  # path[1] says which form of data it is


def _without_echoes(problems: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out fields that are missing only because their name is misspelt."""
    unknown = [_unknown(problem) for problem in problems if problem["type"] == "extra_forbidden"]

    def echoes(problem: ErrorDetails) -> bool:
        return problem["type"] == "missing" and any(f"mean {problem['loc'][-1]!r}?" in sentence for sentence in unknown)

    return [problem for problem in problems if not echoes(problem)]


def _sentence(document: Document, problem: ErrorDetails) -> str:
    path = _path(problem)
    place = document.place_of(path) or "the top level"
    return f"{place}: {_text(path, problem)}"


def _text(path: FieldPath, problem: ErrorDetails) -> str:
    field = ".".join(path)
    if problem["type"] == "extra_forbidden":
        return _unknown(problem)
    if problem["type"] == "missing":
        return f"{field} is missing."
    if problem["type"] == "value_error":
        about = f"{field}: " if field else ""
        return f"{about}{str(problem['ctx']['error']).rstrip('.')}."
    got = describe(problem["input"])
    if problem["type"] not in _WORDS:
        return f"{field} cannot be {got}: {problem['msg'].removeprefix('Input ')}."
    hint = " (put it in quotes)" if isinstance(problem["input"], int | float) else ""
    context = {name: _number(value) for name, value in problem.get("ctx", {}).items()}
    return f"{field} {_WORDS[problem['type']].format(got=got, hint=hint, **context)}."


def _unknown(problem: ErrorDetails) -> str:
    path = _path(problem)
    place = f"in {'.'.join(path[:-1])}" if path[:-1] else "at the top level"
    return f"unknown field {path[-1]!r} {place}{nearest(path[-1], known_names([str(p) for p in problem['loc'][:-1]]))}"


def describe(value: Any) -> str:
    """A value as a sentence names it, cut where it is long."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = _KINDS.get(type(value), "{!r}").format(str(value).lower() if isinstance(value, bool) else value)
    return text if len(text) <= 120 else f"{text[:100]}..."


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
