"""Paths as the engine's host has them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.file_manager import ExperimentFileManager
from shared.host_paths import moved, on_host
from shared.models import ScaffoldMetadata, ScaffoldResult
from shared.settings import get_settings

MOUNTS = [
    {"Type": "bind", "Source": "/srv/lab/volume", "Destination": "/data"},
    {"Type": "bind", "Source": "/srv/fast", "Destination": "/data/experiments/fast"},
    {"Type": "volume", "Name": "cache", "Source": "/var/lib/docker/volumes/cache/_data", "Destination": "/var/cache"},
    {"Type": "tmpfs", "Source": "", "Destination": "/data/scratch"},
    {"Type": "tmpfs", "Destination": "/run"},
]


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("/data", "/srv/lab/volume"),
        ("/data/experiments", "/srv/lab/volume/experiments"),
        ("/data/experiments/fast", "/srv/fast"),
        ("/data/experiments/fast/x", "/srv/fast/x"),
        ("/data/experiments/faster", "/srv/lab/volume/experiments/faster"),
        ("/var/cache/scaffoldry", "/var/lib/docker/volumes/cache/_data/scaffoldry"),
        ("/data/scratch/x", None),
        ("/run/scaffoldry", None),
        ("/database", None),
        ("/home", None),
    ],
)
def test_the_nearest_mount_counts(inside: str, outside: str | None) -> None:
    for mounts in (MOUNTS, MOUNTS[::-1]):
        assert on_host(Path(inside), mounts) == (Path(outside) if outside else None)


def test_a_root_that_is_mounted_whole() -> None:
    assert on_host(Path("/x"), [{"Source": "/host", "Destination": "/"}]) == Path("/host/x")
    assert on_host(Path("/x"), []) is None


def test_what_is_not_below_is_left_alone() -> None:
    assert moved(Path("/data/a"), Path("/data"), Path("/srv/v")) == Path("/srv/v/a")
    assert moved(Path("/data"), Path("/data"), Path("/srv/v")) == Path("/srv/v")
    assert moved(Path("/data/a"), Path("/data"), None) == Path("/data/a")
    assert moved(Path("/elsewhere/a"), Path("/data"), Path("/srv/v")) == Path("/elsewhere/a")
    assert moved(Path("/data2/a"), Path("/data"), Path("/srv/v")) == Path("/data2/a")


def test_relative_ones_count_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert moved(Path("experiments/a"), Path("experiments"), Path("/srv/v")) == Path("/srv/v/a")
    assert moved(Path("experiments/a"), Path("experiments"), None) == tmp_path / "experiments/a"


@pytest.fixture
def mounted_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SCAFFOLDRY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SCAFFOLDRY_HOST_DATA_DIR", "/srv/lab")
    get_settings.cache_clear()
    yield tmp_path / "data"
    get_settings.cache_clear()


def saved(directory: Path) -> ExperimentFileManager:
    files = ExperimentFileManager(directory)
    files.save_scaffold("0", ScaffoldResult(code="x", metadata=ScaffoldMetadata(created_at=datetime.now(UTC))))
    return files


def test_the_file_manager_hands_out_the_engines_paths(mounted_elsewhere: Path, tmp_path: Path) -> None:
    files = saved(mounted_elsewhere / "e_1")
    assert files.get_docker_scaffold_dir("0") == Path("/srv/lab/e_1/scaffolds/0")
    assert files.get_docker_logs_dir(2, "0") == Path("/srv/lab/e_1/logs/2/0")
    assert (mounted_elsewhere / "e_1" / "logs" / "2" / "0").is_dir(), "made where this host has it"
    by_hand = saved(tmp_path / "by-hand")
    assert by_hand.get_docker_scaffold_dir("0") == tmp_path / "by-hand/scaffolds/0"


@pytest.mark.parametrize("variable", ["HOST_DATA_DIR", "HOST_SOCKET_DIR", "SOCKET_DIR", "BROKER_URL"])
def test_a_variable_set_to_nothing_is_not_set(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files pass on what may be missing as an empty string; an empty path would be this folder."""
    monkeypatch.setenv(f"SCAFFOLDRY_{variable}", "")
    get_settings.cache_clear()
    assert getattr(get_settings(), variable.lower()) is None
    get_settings.cache_clear()
