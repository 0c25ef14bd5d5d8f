"""The probe at a worker's start, with a real engine that knows the directories by another name, or not at all."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import settings
from shared.errors import VolumeUnavailable
from shared.settings import get_settings
from tests.conftest import scaffoldry
from worker.sandbox.docker import Engine
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.volume import check_mounts

pytestmark = [pytest.mark.docker]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox_image: str) -> Iterator[Path]:
    """Directories for data and sockets, and what the engine calls them."""
    for name in ("data", "sockets"):
        (tmp_path / name).mkdir()
        (tmp_path / f"host-{name}").symlink_to(tmp_path / name)
    monkeypatch.setattr(settings, "_overrides", [])
    monkeypatch.setenv("SCAFFOLDRY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SCAFFOLDRY_SOCKET_DIR", str(tmp_path / "sockets"))
    yield tmp_path
    get_settings.cache_clear()


def probe(monkeypatch: pytest.MonkeyPatch, data: Path, sockets: Path) -> None:
    monkeypatch.setenv("SCAFFOLDRY_HOST_DATA_DIR", str(data))
    monkeypatch.setenv("SCAFFOLDRY_HOST_SOCKET_DIR", str(sockets))
    get_settings.cache_clear()
    check_mounts(DockerSandbox(), "probe-test")


def test_by_another_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe(monkeypatch, folder / "host-data", folder / "host-sockets")
    assert list((folder / "data").iterdir()) == list((folder / "sockets").iterdir()) == []
    assert Engine().find("scaffoldry.worker", "probe-test") == []


@pytest.mark.redis
def test_a_worker_takes_no_work_with_a_wrong_mapping(folder: Path, redis_url: str) -> None:
    words = ("worker", "--broker-url", redis_url, "--name", "probe-test", "--data-dir", str(folder / "data"))
    with tempfile.TemporaryDirectory() as sockets:  # a short path
        given = {"SCAFFOLDRY_HOST_DATA_DIR": "/srv/typo", "SCAFFOLDRY_SOCKET_DIR": sockets}
        done = scaffoldry(*words, cwd=folder, **given)
    assert done.returncode == 3, done.stderr
    assert f"lies in {folder}/data here does not lie in /srv/typo" in done.stderr and "Traceback" not in done.stderr


def test_not_at_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        VolumeUnavailable, match=rf"lies in {folder}/data here does not lie in {folder}/typo .*HOST_DATA_DIR"
    ):
        probe(monkeypatch, folder / "typo", folder / "host-sockets")
    with pytest.raises(
        VolumeUnavailable, match=rf"lies in {folder}/sockets here does not lie in {folder}/typo .*HOST_SOCKET_DIR"
    ):
        probe(monkeypatch, folder / "host-data", folder / "typo")
    assert list((folder / "data").iterdir()) == list((folder / "sockets").iterdir()) == []
    assert Engine().find("scaffoldry.worker", "probe-test") == []
