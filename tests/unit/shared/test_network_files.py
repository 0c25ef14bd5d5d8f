"""What a network file system's client answers from memory, and what a repeated request is told: neither misleads us.

The client is faked at the system call: what it would answer is put in the call's place.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared import atomic
from shared.drafts import Turn
from shared.errors import InfraError, NotAnExperiment, Superseded
from shared.file_manager import ExperimentFileManager
from shared.models import Example, Job, Plan
from tests.unit.shared.test_file_manager import result


def plan() -> Plan:
    runs = {f"valid_{number}": Example(id=str(number), input="x") for number in range(2)}
    return Plan(experiment="exp", iteration=0, runs=runs, assigned={"valid": ("0", "1")})


@pytest.fixture
def files(tmp_path: Path) -> ExperimentFileManager:
    return ExperimentFileManager(tmp_path / "exp")


class ForgetfulServer:
    """Has ``os.open`` and ``open`` not find what lies below a directory until that directory has been opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
        self._open = os.open
        self._hidden = directory
        self.looked = 0
        monkeypatch.setattr(os, "open", self._os_open)
        monkeypatch.setattr("io.open", self._refuse_first(open))
        monkeypatch.setattr(os, "listdir", self._refuse_first(os.listdir))
        monkeypatch.setattr(os, "stat", self._refuse_first(os.stat))

    def _os_open(self, path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if Path(path) == self._hidden and flags & os.O_DIRECTORY:
            self.looked += 1
        elif not self.looked:
            self._check(path)
        return self._open(path, flags, *rest, **more)

    def _refuse_first(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def answer(path: Any, *rest: Any, **more: Any) -> Any:
            if not self.looked:
                self._check(path)
            return call(path, *rest, **more)

        return answer

    def _check(self, path: Any) -> None:
        if isinstance(path, str | Path) and self._hidden in Path(path).parents:
            raise FileNotFoundError(errno.ENOENT, "remembered as absent", str(path))


READS: list[Callable[[ExperimentFileManager], object]] = [
    lambda files: files.load_result(result().job),
    lambda files: files.is_committed(result().job),
    lambda files: files.committed_run_types(0, "0"),
    lambda files: list(files.results(0, "0")),
    lambda files: files.is_cancelled(),
    lambda files: files.load_plan(0).runs,
    lambda files: files.load_spending().calls,
    lambda files: ExperimentFileManager.open(Path(str(files))).name,
    lambda files: [one.name for one in ExperimentFileManager.all_in(Path(str(files)).parent)],
    lambda files: files.load_model_script("answers.yaml"),
    lambda files: files.load_scorer("mine"),
    lambda files: files.load_data(),
]


@pytest.mark.parametrize("read", READS)
def test_what_is_remembered_as_absent_is_looked_for_again(
    read: Callable[[ExperimentFileManager], object],
    files: ExperimentFileManager,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp" / "metadata.json").write_text("{}")
    files.commit_result(result())
    files.cancel()
    files.save_plan(plan())
    files.update_spending(lambda spending: spending.model_copy(update={"calls": 7}))
    files.save_model_script("answers.yaml", "- yes")
    files.save_scorer("mine", "def score(): ...")
    files.save_data("valid", [Example(id="0", input="x")])
    expected = read(files)
    assert expected
    server = ForgetfulServer(monkeypatch, tmp_path / "exp")
    assert read(ExperimentFileManager(tmp_path / "exp")) == expected
    assert server.looked


def test_a_scaffold_that_is_remembered_as_absent_is_looked_for_again(
    files: ExperimentFileManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder is listed, and yet its code is not found."""
    folder = tmp_path / "exp" / "scaffolds" / "0"
    folder.mkdir(parents=True)
    (folder / "scaffold.py").touch()
    ForgetfulServer(monkeypatch, folder)
    assert files.scaffold_ids() == ["0"]


def test_a_fence_that_another_host_has_just_put_up_is_seen(
    files: ExperimentFileManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though this host has looked for one before."""
    files.give_up(result().job, 1)
    server = ForgetfulServer(monkeypatch, tmp_path / "exp" / "fences")
    with pytest.raises(Superseded):
        ExperimentFileManager(tmp_path / "exp").begin_attempt(result().job, 1)
    assert server.looked


def test_a_run_that_nobody_gives_up_opens_two_directories_to_know_that(
    files: ExperimentFileManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    real = os.open

    def counted(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        opened.append(Path(path))
        return real(path, flags, *rest, **more)

    files.begin_attempt(result().job, 1).close()
    monkeypatch.setattr(os, "open", counted)
    with files.begin_attempt(result().job, 1):
        made, *looked = opened
    assert made.parent.parent.parent.name == "attempts"
    assert looked == [tmp_path / "exp", tmp_path / "exp" / "fences"]


def test_another_fence_costs_a_run_that_nobody_gives_up_one_look_at_each_directory(
    files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.give_up(result("valid_1").job, 1)
    opened: list[str] = []
    os_open = os.open

    def spy(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & os.O_DIRECTORY:
            opened.append(Path(path).name)
        return os_open(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", spy)
    files._drafts.check(result().job, Turn(1, 1))
    assert opened == ["exp", "fences", "0", "0"]


def test_a_fence_that_is_replaced_while_it_is_read_is_read_again(
    files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.give_up(result().job, 1)
    read, stale = Path.read_bytes, iter([OSError(errno.ESTALE, "Stale file handle")])

    def reading(path: Path) -> bytes:
        for error in stale:
            raise error
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", reading)
    with pytest.raises(Superseded):
        files._drafts.check(result().job, Turn(1, 1))


def test_what_is_absent_is_absent(files: ExperimentFileManager) -> None:
    assert files.load_result(result().job) is None
    assert (files.is_committed(result().job), files.is_cancelled()) == (False, False)
    assert files.committed_run_types(0, "0") == []
    assert (files.load_scorer("mine"), files.load_model_script("answers.yaml"), files.load_data()) == (None, None, {})


def test_a_file_holds_no_experiment(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotAnExperiment, match="holds no experiment"):
        ExperimentFileManager.open(tmp_path / "file")


def test_a_file_replaced_while_it_was_read_is_read_again(
    files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.commit_result(result())
    read_bytes, answers = Path.read_bytes, iter([OSError(errno.ESTALE, "Stale file handle")])

    def stale_once(path: Path) -> bytes:
        for error in answers:
            raise error
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", stale_once)
    assert files.load_result(result().job) == result()


def test_another_failure_is_not_tried_again(files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []

    def broken(path: Path) -> bytes:
        calls.append(path)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", broken)
    with pytest.raises(OSError, match="Input/output"):
        files.load_result(result().job)
    assert len(calls) == 1


@pytest.mark.parametrize("call", ["link", "replace"])
def test_a_request_that_was_repeated_has_succeeded_once(
    call: str, files: ExperimentFileManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server did it, the answer was lost, and the second request was told that the name was taken, or gone."""
    real = getattr(os, call)
    told = {"link": FileExistsError(errno.EEXIST, "File exists"), "replace": FileNotFoundError(errno.ENOENT, "No such")}

    def repeated(source: Path, target: Path) -> None:
        real(source, target)
        raise told[call]

    monkeypatch.setattr(os, call, repeated)
    if call == "link":
        assert files.commit_result(result()) is True
        monkeypatch.setattr(os, call, real)
        assert files.commit_result(result(score=0.0)) is False, "now it really is another's"
    else:
        atomic.write_file(tmp_path / "exp" / "file", b"new")
        assert (tmp_path / "exp" / "file").read_bytes() == b"new"
    assert not list(tmp_path.rglob(".tmp-*"))


def test_a_rename_that_failed_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"old")

    def gone(source: Path, target: Path) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file")

    monkeypatch.setattr(os, "replace", gone)
    with pytest.raises(FileNotFoundError):
        atomic.write_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_an_old_stat_does_not_hide_a_plan_that_grew(
    files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.save_plan(plan())
    assert files.load_plan(0) is files.load_plan(0)
    old = os.stat(files._plans.path(0))
    monkeypatch.setattr(os, "stat", lambda *_, **__: old)
    grown = plan().assign("valid", ("9",))
    files.save_plan(grown)
    assert files.load_plan(0) == grown


def test_a_plan_of_the_same_size_and_time_is_another_file(files: ExperimentFileManager) -> None:
    files.save_plan(plan().assign("valid", ("8",)))
    path = files._plans.path(0)
    os.utime(path, ns=(10**18, 10**18))
    assert "8" in files.load_plan(0).scaffolds
    files.save_plan(plan().assign("valid", ("9",)))
    os.utime(path, ns=(10**18, 10**18))
    assert "9" in files.load_plan(0).scaffolds


def test_a_run_that_the_plan_lacks_is_our_failure_after_a_second_look(files: ExperimentFileManager) -> None:
    files.save_plan(plan())
    known = next(iter(plan().runs))
    job = Job(experiment="exp", iteration=0, scaffold_id="0", run_type=known)
    assert files.load_example(job) == plan().runs[known]
    with pytest.raises(InfraError, match=r"plan of iteration 0 of exp has no run valid_999 .*docs/multi-host.md"):
        files.load_example(job.model_copy(update={"run_type": "valid_999"}))


def test_a_run_that_the_plan_lacks_is_found_where_the_second_look_shows_more(
    files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = plan()
    *_, last = whole.runs
    files.save_plan(whole.model_copy(update={"runs": {}}))
    files.load_plan(0)
    monkeypatch.setattr("shared.fresh.look_again", lambda *_: files.save_plan(whole))
    job = Job(experiment="exp", iteration=0, scaffold_id="0", run_type=last)
    assert files.load_example(job) == whole.runs[last]
