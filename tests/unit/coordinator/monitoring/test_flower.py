"""Flower's configuration: who may log in, where it keeps its state, and that its options are Flower's own."""

import runpy
import socket
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from flower.options import default_options
from flower.views.tasks import TASK_COLUMNS

from coordinator.monitoring import flower
from coordinator.monitoring.flower import credentials, serve_flower, state_file
from shared import settings
from shared.errors import UsageError
from shared.settings import Settings, get_settings

CONFIG = Path(flower.__file__).with_name("flowerconfig.py")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder with a cache and settings of its own, which no test leaves to others."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCAFFOLDRY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(settings, "_overrides", [])
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


def test_the_login_is_as_set() -> None:
    assert credentials(Settings(flower_login="a:b,c")) == ["scaffoldry:a:b,c"]
    assert credentials(Settings(flower_login="a", flower_user="lab")) == ["lab:a"]


@pytest.mark.parametrize("values", [{}, {"flower_login": ""}])
def test_without_a_password_there_is_no_page_unless_asked_for_by_name(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"SCAFFOLDRY_FLOWER_LOGIN .* --no-login"):
        credentials(Settings(**values))
    assert credentials(Settings(**values, flower_no_login=True)) == []


def test_a_password_that_flower_cannot_compare_is_refused_and_not_shown() -> None:
    with pytest.raises(UsageError, match="ASCII") as caught:
        credentials(Settings(flower_login="pässword"))
    assert "pässword" not in str(caught.value)
    assert "hunter2" not in repr(Settings(flower_login="hunter2"))


def configured() -> dict[str, Any]:
    """What the configuration sets of Flower's options, read as Flower reads it."""
    return {name: value for name, value in runpy.run_path(str(CONFIG)).items() if name in default_options}


def test_the_configuration_sets_options_that_flower_has(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("SCAFFOLDRY_FLOWER_LOGIN", "secret")
    found = configured()
    assert set(found) == {
        *("basic_auth", "logging", "read_only", "format_task", "tasks_columns", "natural_time"),
        *("persistent", "db", "state_save_interval", "max_tasks", "purge_offline_workers"),
    }
    assert found["basic_auth"] == ["scaffoldry:secret"] and found["read_only"] and found["persistent"]
    assert isinstance(found["format_task"], FunctionType), "Flower takes nothing else"
    columns = found["tasks_columns"].split(",")
    assert {"uuid", "args", "result", "worker"} < set(columns) < set(TASK_COLUMNS)
    assert found["db"] == str(home / "cache/flower/state") and Path(found["db"]).parent.is_dir()


def test_the_configuration_alone_refuses_too() -> None:
    with pytest.raises(UsageError, match="SCAFFOLDRY_FLOWER_LOGIN"):
        configured()


def test_where_the_state_is_kept(home: Path) -> None:
    assert state_file(Path("kept/here")) == home / "kept/here" and (home / "kept").is_dir()
    with pytest.raises(UsageError, match="--state"):
        state_file(home / "kept")
    (home / "file").touch()
    with pytest.raises(OSError):
        state_file(home / "file/state")


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is not asked, and a password."""
    monkeypatch.setattr(flower, "check_broker", lambda app, where: None)
    monkeypatch.setenv("SCAFFOLDRY_FLOWER_LOGIN", "secret")


def test_a_port_in_use_is_a_sentence(answering: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use.*--port"):
            serve_flower("redis://127.0.0.1:1/0", "127.0.0.1", port, None, login=True)


def test_an_address_of_another_host_is_a_sentence(answering: None) -> None:
    with pytest.raises(UsageError, match=r"cannot listen on 192\.0\.2\.1:5555"):
        serve_flower("redis://127.0.0.1:1/0", "192.0.2.1", 5555, None, login=True)
