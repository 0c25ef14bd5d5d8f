"""The form of what an experiment keeps: reading it back, and saying which file is not what was written."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from shared import atomic, fresh
from shared.errors import CorruptFile, ForeignFile, NewerFile
from shared.models.example import Example
from shared.models.job import Job
from shared.models.result import RunResult

Model = TypeVar("Model", bound=BaseModel)


def seal(result: RunResult) -> bytes:
    """A result as the bytes that are committed, with their digest."""
    return atomic.seal(result.model_dump(mode="json"))


def read_result(data: bytes, path: Path, job: Job, exact: bool = False) -> RunResult:
    """The result of ``job`` in ``data``, which lay at ``path``; ``exact`` as for ``atomic.unseal``.

    Raises DamagedFile where it is not what was written, ForeignFile where it has no digest or is of another job, and
    NewerFile or CorruptFile where it is no result of this version.
    """
    result = validated(RunResult, atomic.unseal(data, path, exact), path)
    if (result.iteration, result.scaffold_id, result.run_type) != (job.iteration, job.scaffold_id, job.run_type):
        raise ForeignFile(f"{path} is the result of {result.job}: it was moved here. Remove it.")
    return result


def scores_bytes(scores: dict[str, dict[str, float]]) -> bytes:
    """An iteration's mean scores as the bytes of ``scores_<iteration>.json``."""
    return atomic.canonical_json(scores)


def model_bytes(model: BaseModel) -> bytes:
    """A model as the bytes of its file."""
    return atomic.canonical_json(model.model_dump(mode="json"))


def validated(model: type[Model], record: dict[str, Any], path: Path) -> Model:
    """A record as a model. Raises CorruptFile, which names the file and the field, and NewerFile where a newer version
    wrote it."""
    _check_schema(model, record, path)
    try:
        return model.model_validate(record)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"]) or "the whole"
        raise CorruptFile(
            f"{path} is not a {model.__name__} of this version ({field}: {problem['msg']}); "
            "use the version of Scaffoldry that wrote it, or restore it from a copy."
        ) from None


def _check_schema(model: type[BaseModel], record: dict[str, Any], path: Path) -> None:
    field = model.model_fields.get("schema_version")
    found = record.get("schema_version")
    if field is not None and isinstance(found, int) and found > field.default:
        raise NewerFile(
            f"{path} was written by a newer Scaffoldry (schema {found}; this version knows {field.default}): use the "
            "version that wrote it."
        )


def read_bytes(path: Path, root: Path, missing: str) -> bytes:
    """The bytes of a file below ``root``; raises FileNotFoundError, whose sentence begins with ``missing``."""
    try:
        return fresh.read(path, root)
    except FileNotFoundError:
        raise FileNotFoundError(f"{missing}: {path}.") from None


def read_from(path: Path, offset: int, missing: str) -> tuple[str, int]:
    """A growing text from byte ``offset``, and the offset of its end; raises FileNotFoundError."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        raise FileNotFoundError(f"{missing}: {path} does not exist.") from None
    return data.decode("utf-8", errors="replace"), offset + len(data)


def read_scores(path: Path, root: Path, iteration: int) -> dict[str, dict[str, float]]:
    """An iteration's scoring file; raises FileNotFoundError, and CorruptFile where it is none."""
    missing = f"There are no scores of iteration {iteration}"
    scores: dict[str, Any] = atomic.parse_object(read_bytes(path, root, missing), path)
    if set(scores) != {"train", "valid"} or not all(isinstance(part, dict) for part in scores.values()):
        raise CorruptFile(f"{path} is not a scoring file: it must hold the two maps train and valid.")
    return scores


def read_text(path: Path, root: Path) -> str:
    """A text as it was kept below ``root``; raises CorruptFile where it is none any more, and FileNotFoundError."""
    try:
        return fresh.read(path, root).decode("utf-8")
    except UnicodeDecodeError:
        raise CorruptFile(f"{path} is not text in UTF-8 any more; restore it from a copy.") from None


def read_examples(path: Path, root: Path) -> tuple[Example, ...]:
    """The examples of a JSON Lines file; raises CorruptFile where a line is none, and FileNotFoundError."""
    try:
        return tuple(Example.model_validate_json(line) for line in fresh.read(path, root).splitlines())
    except ValidationError as error:
        raise CorruptFile(f"{path} does not hold examples: {error.errors()[0]['msg']}.") from None
