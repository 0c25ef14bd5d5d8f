"""What a proposer keeps with its experiment, as a mapping."""

from collections.abc import Iterator, MutableMapping

from shared.errors import CorruptFile
from shared.file_manager import ExperimentFileManager


class KeptTextMissing(CorruptFile, KeyError):
    """A proposer looked for a text that is not there."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The file {name} is missing in the experiment's folder proposer/; restore it from a copy.")

    def __str__(self) -> str:
        return str(self.args[0])  # a KeyError would put it in quotes


class KeptTexts(MutableMapping[str, str]):
    """File name -> text, in the experiment's folder ``proposer/``. What is put in is on the disk at once, and stays."""

    def __init__(self, files: ExperimentFileManager) -> None:
        self._files = files
        self._texts = files.load_proposer_files()

    def __getitem__(self, name: str) -> str:
        if name not in self._texts:
            raise KeptTextMissing(name)
        return self._texts[name]

    def __setitem__(self, name: str, text: str) -> None:
        self._files.save_proposer_file(name, text)
        self._texts[name] = text

    def __delitem__(self, name: str) -> None:
        raise TypeError("What a proposer has kept stays with the experiment.")

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)
