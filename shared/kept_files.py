"""What a user's spec brings along, kept with the experiment: it needs nothing of the user's machine any more."""

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from shared import atomic
from shared.errors import InvalidId, UsageError
from shared.experiment_folder import ExperimentFolder
from shared.models.example import Example
from shared.models.ids import SPLITS, check_experiment_name
from shared.records import read_examples, read_text


class KeptFiles(ExperimentFolder):
    """Scripted models, the scorer, the examples and the proposer's texts."""

    def save_model_script(self, script: str, text: str) -> None:
        """Keep the answers of the model ``sim/script:<script>``, so that every worker finds them."""
        atomic.write_file(self._model_script_file(script), text.encode())

    def load_model_script(self, script: str) -> str | None:
        """The kept answers of the model ``sim/script:<script>``; None where none were kept."""
        return self._text(self._model_script_file(script))

    def model_script_file(self, script: str) -> str:
        """Where they are kept, from the experiment's directory."""
        return self._model_script_file(script).relative_to(self._dir).as_posix()

    def save_scorer(self, module: str, source: str) -> None:
        """Keep the source of a user's scorer module, so that every worker finds it."""
        atomic.write_file(self._scorer_file(module), source.encode())

    def load_scorer(self, module: str) -> str | None:
        """The source of a user's scorer module; None where it is to be imported from what is installed."""
        return self._text(self._scorer_file(module))

    def save_data(self, split: str, examples: Iterable[Example]) -> None:
        """Keep a split's examples, answers and all: the experiment needs its datasets no more."""
        if split not in SPLITS:
            raise InvalidId(f"{split!r} is not a split; the splits are {', '.join(SPLITS)}.")
        lines = (f"{example.model_dump_json()}\n".encode("utf-8", errors="replace") for example in examples)
        atomic.write_file(self._dir / "data" / f"{split}.jsonl", b"".join(lines))

    def load_data(self) -> dict[str, tuple[Example, ...]]:
        """The kept examples by split. Raises CorruptFile where a line is none."""
        found: dict[str, tuple[Example, ...]] = {}
        for split in SPLITS:
            with suppress(FileNotFoundError):
                found[split] = read_examples(self._dir / "data" / f"{split}.jsonl", self._root)
        return found

    def save_proposer_file(self, name: str, text: str) -> None:
        """Keep a text of the proposer's. ``name`` is a plain file name of letters, digits, '.', '_' and '-'."""
        path = self._dir / "proposer" / check_experiment_name(name)
        atomic.write_file(path, text.encode("utf-8", errors="replace"))

    def load_proposer_files(self) -> dict[str, str]:
        """The proposer's texts by name. Raises CorruptFile where one of them is no text."""
        folder = self._dir / "proposer"
        return {name: read_text(folder / name, self._root) for name in sorted(self._names(folder))}

    def _scorer_file(self, module: str) -> Path:
        if not all(part.isidentifier() for part in module.split(".")):
            raise UsageError(f"{module!r} is not the name of a Python module; write the scorer as module:function.")
        return self._dir / "scorers" / f"{module}.py"

    def _model_script_file(self, script: str) -> Path:
        # ``script`` is a path of the user's, on the user's machine; here it is a name and no more.
        return self._dir / "scripts" / f"{hashlib.sha256(os.fsencode(script)).hexdigest()[:16]}.yaml"
