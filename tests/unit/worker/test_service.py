"""A worker's name and how Celery is started."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import InvalidId
from shared.settings import get_settings
from worker.service import _arguments, own_name, reap


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SCAFFOLDRY_CACHE_DIR", str(tmp_path / "cache"))
    get_settings.cache_clear()
    yield tmp_path / "cache"
    get_settings.cache_clear()


@pytest.mark.parametrize("name", ["a/b", "../../x", "a\nb", "a\0b", "", "..", "a b", "x" * 65])
def test_what_is_no_name_touches_no_file(cache: Path, name: str) -> None:
    with pytest.raises(InvalidId, match="cannot name a worker"), own_name(name):
        pytest.fail("the name was taken")
    with pytest.raises(InvalidId, match="cannot name a worker"):
        reap(name, "process")
    assert not cache.exists()


def test_a_name_that_is_taken_gets_a_number_and_comes_back() -> None:
    for _ in range(2):
        with own_name("lab1.example") as first, own_name("lab1.example") as second:
            assert (first, second) == ("lab1.example", "lab1.example-2")


@pytest.mark.parametrize("quiet", [True, False])
def test_a_worker_of_a_session_says_only_what_went_wrong(quiet: bool) -> None:
    words = _arguments("lab1", get_settings(), quiet)
    assert words[words.index("worker") :][:2] == ["worker", "--hostname=worker@lab1"]
    assert ("--quiet" in words) is quiet
