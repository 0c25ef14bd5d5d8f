"""The folder of one experiment: what all that keep something in it share."""

from pathlib import Path

from pydantic import BaseModel

from shared import atomic, fresh
from shared.records import Model, model_bytes, read_bytes, read_text, validated


class ExperimentFolder:
    """One experiment's directory on the shared volume."""

    def __init__(self, experiment_dir: Path) -> None:
        self._dir = Path(experiment_dir)
        self._root = self._dir.parent

    def _names(self, directory: Path) -> list[str]:
        return fresh.names_in(directory, self._root)

    def _save(self, path: Path, model: BaseModel) -> None:
        atomic.write_file(path, model_bytes(model))

    def _load(self, path: Path, model: type[Model]) -> Model:
        return validated(
            model, atomic.parse_object(read_bytes(path, self._root, "The file does not exist"), path), path
        )

    def _text(self, path: Path) -> str | None:
        try:
            return read_text(path, self._root)
        except FileNotFoundError:
            return None
