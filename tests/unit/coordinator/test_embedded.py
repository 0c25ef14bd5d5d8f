"""The worker that a session brings along: a real child process, with a folder as its broker."""

import signal
from pathlib import Path

import pytest

from coordinator.embedded import embedded_worker
from coordinator.worker_tools import data_dir_variables
from shared.errors import Unavailable
from shared.queue import make_app
from shared.settings import Settings, get_settings


def test_a_worker_that_is_gone_is_told_of_without_a_banner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCAFFOLDRY_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(Unavailable) as caught, embedded_worker(tmp_path, 1, "process") as worker:
        app = make_app(worker.broker_url)
        assert any(app.control.ping(timeout=1.0) for _ in range(60)), "the worker does not answer"
        worker.check()
        worker._process.send_signal(signal.SIGTERM)
        worker._process.wait(30)
        worker.check()
    assert str(caught.value) == "The worker ended (exit code 0). worker: Warm shutdown (MainProcess)"


def test_why_a_worker_could_not_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught, embedded_worker(tmp_path, 1, "nonsense") as worker:
        worker._process.wait(60)
        worker.check()
    assert str(caught.value).startswith("The worker ended (exit code 2). There is no sandbox named 'nonsense'")


def test_what_the_engine_calls_the_usual_folder_says_nothing_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its line in `.env` is what the child reads too."""
    lines = f"SCAFFOLDRY_DATA_DIR={tmp_path}/usual\nSCAFFOLDRY_HOST_DATA_DIR=/srv/lab\n"
    (tmp_path / ".env").write_text(lines)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(Settings.model_config, "env_file", ".env")
    get_settings.cache_clear()
    found = {}
    for name in ("usual", "usual/sub", "other"):
        with monkeypatch.context() as child:
            for variable, value in data_dir_variables(tmp_path / name).items():
                child.setenv(variable, value)
            found[name] = (Settings().data_dir, Settings().host_data_dir)
    get_settings.cache_clear()
    assert found == {
        "usual": (tmp_path / "usual", Path("/srv/lab")),
        "usual/sub": (tmp_path / "usual/sub", Path("/srv/lab/sub")),
        "other": (tmp_path / "other", tmp_path / "other"),
    }


def test_where_nothing_is_set_the_worker_finds_out_what_the_engine_calls_a_folder(tmp_path: Path) -> None:
    assert list(data_dir_variables(tmp_path)) == ["SCAFFOLDRY_DATA_DIR"]
