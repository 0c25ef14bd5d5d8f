"""Paths as the Docker engine's host has them, where a worker in a container knows them by others. Pure."""

from collections.abc import Iterable, Mapping
from pathlib import Path


def moved(path: Path, root: Path, host_root: Path | None) -> Path:
    """``path`` with ``host_root`` in the place of ``root``; as it is where it is not below, or None is given."""
    absolute = path.absolute()
    if host_root is None or not absolute.is_relative_to(root.absolute()):
        return absolute
    return host_root / absolute.relative_to(root.absolute())


def on_host(path: Path, mounts: Iterable[Mapping[str, str]]) -> Path | None:
    """Where a directory of a container lies on the engine's host, from the ``Mounts`` that the engine shows of it.

    The mount that is nearest to the path counts, a named volume's as well as a bind's. None where no mount holds it, or
    one that lies nowhere on the host (a tmpfs): the engine has no such directory.
    """
    around = [mount for mount in mounts if mount.get("Destination") and path.is_relative_to(mount["Destination"])]
    nearest = max(around, key=lambda mount: len(Path(mount["Destination"]).parts), default=None)
    if nearest is None or not nearest.get("Source"):
        return None
    return Path(nearest["Source"]) / path.relative_to(nearest["Destination"])
