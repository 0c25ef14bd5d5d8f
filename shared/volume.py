"""The shared volume itself: which one it is, and whether two hosts see the same. Experiments are the file manager's."""

import os
import re
import secrets
import shutil
from pathlib import Path

from shared import atomic, fresh
from shared.errors import CorruptFile
from shared.models.ids import check_experiment_name, check_worker_name

_ID = re.compile(rb"[0-9a-f]{16}")


def volume_id(data_dir: Path) -> str:
    """The id of the volume that the folder of experiments lies on: ``<data_dir>/.volume``, made by whoever is first.

    Two hosts whose data directories are not the same have different ids. Raises OSError where it can be neither read
    nor made, CorruptFile where it is none.
    """
    if known_volume_id(data_dir) is None:
        atomic.write_first(_id_file(data_dir), secrets.token_hex(8).encode())
    found = known_volume_id(data_dir)
    if found is None:
        raise FileNotFoundError(f"{_id_file(data_dir)} was written, but is not there.")
    return found


def known_volume_id(data_dir: Path) -> str | None:
    """The volume's id for those who only look; None where it has none, as an empty mount point.

    Raises as ``volume_id``.
    """
    path = _id_file(data_dir)
    try:
        found = fresh.read(path, path.parent)
    except FileNotFoundError:
        return None
    if not _ID.fullmatch(found):
        raise CorruptFile(f"{path} holds no volume's id; restore it from a copy, or stop all workers and remove it.")
    return found.decode()


def _id_file(data_dir: Path) -> Path:
    return Path(data_dir) / ".volume"


def mount_probe_dir(data_dir: Path, worker: str, pid: int | None = None) -> Path:
    """The folder of what a container is to find when a worker of that name starts; no VolumeProbe's.

    ``pid``: of that one of its processes which looks while the others may look too. Raises InvalidId.
    """
    # No worker's name holds a tilde, so no other worker's folder begins like those of this one's processes.
    return Path(data_dir) / f".mount-probe-{check_worker_name(worker)}{'' if pid is None else f'~{pid}'}"


def remove_stray_mount_probes(data_dir: Path, worker: str) -> None:
    """Remove what processes of a worker of that name left that were killed while they looked.

    What cannot be removed is left where it lies. Raises InvalidId, and OSError where the folder cannot be read.
    """
    start = f"{mount_probe_dir(data_dir, worker).name}~"
    with os.scandir(data_dir) as entries:
        strays = [entry.path for entry in entries if entry.name.startswith(start)]
    for stray in strays:
        shutil.rmtree(stray, ignore_errors=True)


class VolumeProbe:
    """A token that workers are asked to find on the volume, each leaving an answer beside it."""

    def __init__(self, data_dir: Path, name: str) -> None:
        self._dir = Path(data_dir) / f".probe-{check_experiment_name(name)}"

    def ask(self, token: str) -> None:
        """Leave the token."""
        atomic.write_file(self._dir / "token", token.encode())

    def answer(self, token: str, worker: str) -> str | None:
        """None once the token was found and an answer written beside it, else a sentence that says what is wrong."""
        path = self._dir / "token"
        try:
            found = fresh.read(path, self._dir.parent)
        except FileNotFoundError:
            return f"{path} does not exist there: its data directory is not this one."
        if found != token.encode():
            return f"{path} holds another token there: its data directory is not this one."
        atomic.write_file(self._dir / f"answer-{check_worker_name(worker)}", token.encode())
        return None

    def end(self) -> list[str]:
        """The workers whose answers are seen here; what the probe left is removed."""
        answers = [
            name.removeprefix("answer-")
            for name in fresh.names_in(self._dir, self._dir.parent)
            if name.startswith("answer-")
        ]
        if self._dir.exists():
            shutil.rmtree(self._dir)
        return sorted(answers)
