"""A worker's start: its directories are there, and the engine sees the same ones."""

import errno
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from shared import settings
from shared.errors import InfraError, SandboxUnavailable, VolumeUnavailable
from shared.file_manager import ExperimentFileManager
from shared.models import Labels, Limits, RunOutcome, RunRequest, ScaffoldMount, Status
from shared.settings import get_settings
from worker.sandbox.base import OnOutput, Sandbox, SandboxSession
from worker.sandbox.process import ProcessSandbox
from worker.volume import check_data_dir, check_mounts, docker_gateway_dir, use_host_paths


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(settings, "_overrides", [])
    monkeypatch.setenv("SCAFFOLDRY_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    with tempfile.TemporaryDirectory() as sockets:  # a short path: a Unix socket's has at most 108 bytes
        monkeypatch.setenv("SCAFFOLDRY_SOCKET_DIR", sockets)
        yield tmp_path / "data"
    get_settings.cache_clear()


def sockets() -> Path:
    """The folder of sockets."""
    found = get_settings().socket_dir
    assert found is not None
    return found


class EngineSandbox(ProcessSandbox):
    """Stands for an engine whose host has the directories of ``host`` (what it calls them -> where they are here)."""

    name = "docker"
    has_engine: ClassVar[bool] = True

    def __init__(self, host: dict[Path, Path]) -> None:
        self.host = host
        self.opened = 0

    def host_directory(self, directory: Path, configured: Path | None) -> Path | None:
        return configured

    def open(self, scaffold: ScaffoldMount, limits: Limits, labels: Labels) -> SandboxSession:
        self.opened += 1
        assert labels.job == "probe"
        return EngineSession(self, scaffold, limits, labels)


class EngineSession(SandboxSession):
    """Translates each path back before a process is run with it."""

    def __init__(self, sandbox: EngineSandbox, scaffold: ScaffoldMount, limits: Limits, labels: Labels) -> None:
        self._sandbox, self._scaffold, self._limits, self._labels = sandbox, scaffold, limits, labels

    def _here(self, path: Path) -> Path:
        for root, here in self._sandbox.host.items():
            if path.is_relative_to(root) and (here / path.relative_to(root)).exists():
                return here / path.relative_to(root)
        raise InfraError(f"bind source path does not exist: {path}")

    def run(self, request: RunRequest, on_output: OnOutput | None = None) -> RunOutcome:
        scaffold = self._scaffold.model_copy(update={"directory": self._here(self._scaffold.directory)})
        assert request.gateway_dir is not None
        here = request.model_copy(update={"gateway_dir": self._here(request.gateway_dir)})
        with ProcessSandbox().open(scaffold, self._limits, self._labels) as session:
            return session.run(here)

    def close(self) -> None:
        """Nothing is open."""


def test_where_nothing_is_translated_the_probe_passes(data_dir: Path) -> None:
    sandbox = EngineSandbox({Path("/"): Path("/")})
    check_mounts(sandbox, "w")
    assert sandbox.opened == 1, "one container"
    assert list(data_dir.iterdir()) == [], "and nothing is left"


def test_through_translated_paths_the_probe_passes(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCAFFOLDRY_HOST_DATA_DIR", "/srv/lab")
    monkeypatch.setenv("SCAFFOLDRY_HOST_SOCKET_DIR", "/srv/sockets")
    get_settings.cache_clear()
    check_mounts(EngineSandbox({Path("/srv/lab"): data_dir, Path("/srv/sockets"): sockets()}), "w")


@pytest.mark.parametrize("set_by_hand", [None, "/srv/typo"])
def test_data_that_the_engine_does_not_have(
    set_by_hand: str | None, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if set_by_hand:
        monkeypatch.setenv("SCAFFOLDRY_HOST_DATA_DIR", set_by_hand)
        get_settings.cache_clear()
    with pytest.raises(VolumeUnavailable) as caught:
        check_mounts(EngineSandbox({sockets(): sockets()}), "w")
    sentence = str(caught.value)
    assert str(data_dir) in sentence and (set_by_hand or "") in sentence
    assert "SCAFFOLDRY_HOST_DATA_DIR" in sentence
    assert caught.value.exit_code == 3
    assert list(data_dir.iterdir()) == []


def test_sockets_that_the_engine_does_not_have(data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(VolumeUnavailable, match=r"folder of sockets.*SCAFFOLDRY_HOST_SOCKET_DIR") as caught:
        check_mounts(EngineSandbox({data_dir: data_dir}), "w")
    assert str(sockets()) in str(caught.value)


class AnsweringSandbox(EngineSandbox):
    """Answers as told."""

    def __init__(self, answer: RunOutcome | Exception) -> None:
        super().__init__({})
        self._answer = answer

    def open(self, scaffold: ScaffoldMount, limits: Limits, labels: Labels) -> SandboxSession:
        answer = self._answer

        class Session(EngineSession):
            def run(self, request: RunRequest, on_output: OnOutput | None = None) -> RunOutcome:
                if isinstance(answer, Exception):
                    raise answer
                return answer

        return Session(self, scaffold, limits, labels)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (RunOutcome(status=Status.OK, output="another's token"), "data directory.*another token"),
        (
            RunOutcome(status=Status.SCAFFOLD_ERROR, error_message="No such file: scaffold.py"),
            "data directory.*No such",
        ),
        (RunOutcome(status=Status.OK, output="no socket: Connection refused"), "folder of sockets.*refused"),
    ],
)
def test_another_directory_by_the_same_name(answer: RunOutcome, words: str) -> None:
    with pytest.raises(VolumeUnavailable, match=words):
        check_mounts(AnsweringSandbox(answer), "w")


def test_a_container_that_cannot_be_run_is_no_matter_of_paths() -> None:
    with pytest.raises(SandboxUnavailable, match="could not be run: The Docker engine could not start"):
        check_mounts(AnsweringSandbox(InfraError("The Docker engine could not start a container: no cgroups")), "w")


def test_a_token_that_cannot_be_left_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ExperimentFileManager, "save_scaffold", refuse)
    with pytest.raises(OSError, match="No space left"):
        check_mounts(EngineSandbox({Path("/"): Path("/")}), "w")


def test_without_an_engine_nothing_is_asked(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("something was run")

    monkeypatch.setattr(ProcessSandbox, "open", refuse)
    check_mounts(ProcessSandbox(), "w")


def test_a_data_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(VolumeUnavailable, match="does not exist on this host: mount the shared volume") as caught:
        check_data_dir(tmp_path / "missing")
    assert caught.value.exit_code == 3
    assert not (tmp_path / "missing").exists()
    (tmp_path / "file").touch()
    with pytest.raises(VolumeUnavailable, match="does not exist"):
        check_data_dir(tmp_path / "file")


def test_a_data_directory_that_cannot_be_written(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(directory: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(directory))

    check_data_dir(data_dir)
    monkeypatch.setattr(ExperimentFileManager, "check_writable", refuse)
    with pytest.raises(VolumeUnavailable, match=r"cannot be written by user \d+ on this host: Read-only file system"):
        check_data_dir(data_dir)


class Mounted(Sandbox):
    """An engine that calls everything ``/host``."""

    name = "mounted"
    has_engine = True

    def check(self) -> None: ...

    def host_directory(self, directory: Path, configured: Path | None) -> Path | None:
        return configured or Path("/host")

    def open(self, scaffold: ScaffoldMount, limits: Limits, labels: Labels) -> SandboxSession:
        raise NotImplementedError

    def reap(self, worker: str) -> int:
        return 0


def test_what_was_found_out_is_kept(tmp_path: Path) -> None:
    use_host_paths(Mounted())
    assert (get_settings().host_data_dir, get_settings().host_socket_dir) == (Path("/host"), Path("/host"))
    assert docker_gateway_dir(sockets() / "x" / "g") == Path("/host/x/g")


def test_what_a_person_said_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCAFFOLDRY_HOST_DATA_DIR", "/said")
    get_settings.cache_clear()
    use_host_paths(Mounted())
    assert (get_settings().host_data_dir, get_settings().host_socket_dir) == (Path("/said"), Path("/host"))


def test_a_sandbox_without_an_engine_runs_on_local_paths(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCAFFOLDRY_HOST_DATA_DIR", "/srv/lab")
    monkeypatch.setenv("SCAFFOLDRY_HOST_SOCKET_DIR", "/srv/sockets")
    get_settings.cache_clear()
    use_host_paths(ProcessSandbox())
    files = ExperimentFileManager(data_dir / "e")
    assert files.get_docker_logs_dir(0, "0") == data_dir / "e/logs/0/0"
    assert docker_gateway_dir(sockets() / "g") == sockets() / "g"
