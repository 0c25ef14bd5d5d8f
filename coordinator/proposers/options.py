"""Reading a proposer's options out of a spec, and text files out of a user's folder."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, ValidationError

from shared.errors import SpecError
from shared.models.base import Frozen
from shared.registry import nearest

MAX_BYTES = 1024**2
OptionsT = TypeVar("OptionsT", bound=Frozen)


class Options(Frozen):
    """The base of a proposer's options: values must be written as what they are (``true`` is no number)."""

    model_config = ConfigDict(strict=True)


def parse_options(proposer: str, model: type[OptionsT], options: dict[str, Any]) -> OptionsT:
    """``options`` as ``model``; raises SpecError that names the option and, for an unknown one, the nearest known."""
    for name in options:
        if name not in model.model_fields:
            raise SpecError(
                f"The proposer {proposer!r} has no option {name!r}{nearest(name, sorted(model.model_fields))}"
            )
    try:
        return model.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in ("proposer", *first["loc"]))
        if first["type"] == "missing":
            raise SpecError(f"The proposer {proposer!r} needs {where}; it is not given.") from None
        shown = repr(first["input"])[:80]
        raise SpecError(f"{where} of {proposer!r} cannot be {shown}: {first['msg']}.") from None


def read_text(path: Path, where: str) -> str:
    """The text of a user's file; ``where`` names the option. Raises SpecError unless it is UTF-8 of at most 1 MB."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpecError(f"{where}: {path} cannot be read: {error.strerror}.") from None
    if len(data) > MAX_BYTES:
        raise SpecError(f"{where}: {path} is larger than {MAX_BYTES // 1024**2} MB.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise SpecError(f"{where}: {path} is not text in UTF-8.")
    return text


def entries_of(folder: Path, where: str) -> list[Path]:
    """What lies in a user's folder, hidden files aside; raises SpecError where there is none."""
    try:
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SpecError(
            f"{where}: the folder {str(folder)!r} cannot be read: {reason}. It counts from the spec's folder."
        ) from None
