"""The form of what an experiment keeps: reading it back, and saying which file is not what was written."""

import os
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from shared import atomic
from shared.errors import CorruptFile
from shared.models.example import Example
from shared.models.result import RunResult

Model = TypeVar("Model", bound=BaseModel)


def seal(result: RunResult) -> bytes:
    """A result as the bytes that are committed, with their digest."""
    return atomic.seal(result.model_dump(mode="json"))


def validated(model: type[Model], record: dict[str, Any], path: Path) -> Model:
    """A record as a model; raises CorruptFile, which names the file and the field."""
    try:
        return model.model_validate(record)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"]) or "the whole"
        raise CorruptFile(
            f"{path} is not a {model.__name__} of this version ({field}: {problem['msg']}); "
            "use the version of Scaffoldry that wrote it, or restore it from a copy."
        ) from None


def read_bytes(path: Path, missing: str) -> bytes:
    """A file's bytes; raises FileNotFoundError, whose sentence begins with ``missing``."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{missing}: {path}.") from None


def read_text(path: Path) -> str:
    """A text as it was kept; raises CorruptFile where it is none any more."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise CorruptFile(f"{path} is not text in UTF-8 any more; restore it from a copy.") from None


def names_in(directory: Path) -> list[str]:
    """The names in a directory, without hidden ones; none where it does not exist."""
    try:
        return [name for name in os.listdir(directory) if not name.startswith(".")]
    except FileNotFoundError:
        return []


def read_examples(path: Path) -> tuple[Example, ...]:
    """The examples of a JSON Lines file; raises CorruptFile where a line is none."""
    try:
        return tuple(Example.model_validate_json(line) for line in path.read_bytes().splitlines())
    except ValidationError as error:
        raise CorruptFile(f"{path} does not hold examples: {error.errors()[0]['msg']}.") from None
