"""The experiment directory: the interface the founding document fixes, and what the product adds to it."""

import gc
import inspect
import json
import multiprocessing
import os
import re
import signal
import stat
import time
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import atomic
from shared.errors import CorruptFile, InvalidId, NotAnExperiment
from shared.file_manager import TEMPORARY_SECONDS, ExperimentFileManager
from shared.job_key import code_digest
from shared.maker import this_writer
from shared.models import Details, Example, Job, Plan, RunResult, ScaffoldMetadata, ScaffoldResult, Status
from shared.models.spending import Spending
from shared.plans import KEPT

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CODE = "def process_input(input_string):\n    return input_string\n"


def scaffold(code: str = CODE, **metadata: Any) -> ScaffoldResult:
    return ScaffoldResult(code=code, metadata=ScaffoldMetadata(created_at=NOW, **metadata))


def result(run_type: str = "valid_0", scaffold_id: str = "0", **fields: Any) -> RunResult:
    defaults: dict[str, Any] = {
        "experiment": "exp",
        "iteration": 0,
        "scaffold_id": scaffold_id,
        "run_type": run_type,
        "example_id": "e",
        "status": Status.OK,
        "score": 1.0,
        "started_at": NOW,
        "finished_at": NOW,
    }
    return RunResult(**{**defaults, **fields})


def answer_of(member: Any) -> Any:
    """The type that a method or property is declared to give."""
    return get_type_hints(member.fget if isinstance(member, property) else member)["return"]


def classes_in(annotation: Any) -> set[Any]:
    """All classes that an annotation names, at any depth, with those they derive from."""
    if isinstance(annotation, list):  # what a Callable takes
        return set().union(*map(classes_in, annotation))
    inner = set().union(*map(classes_in, get_args(annotation)))
    return inner | set(inspect.getmro(annotation) if isinstance(annotation, type) else ())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "exp"


@pytest.fixture
def files(directory: Path) -> ExperimentFileManager:
    return ExperimentFileManager(directory)


class TestTheFoundingInterface:
    """One test a line of the document."""

    @pytest.mark.parametrize(
        ("method", "signature"),
        [
            ("__init__", "(self, experiment_dir: Path) -> None"),
            ("save_scaffold", "(self, scaffold_id: str, result: ScaffoldResult) -> None"),
            ("load_scaffold", "(self, scaffold_id: str) -> ScaffoldResult"),
            (
                "save_scores",
                "(self, iteration: int, train_scores: dict[str, float], valid_scores: dict[str, float]) -> None",
            ),
            ("load_scores", "(self, iteration: int) -> dict[str, dict[str, float]]"),
            ("get_docker_scaffold_dir", "(self, scaffold_id: str) -> Path"),
            ("get_docker_logs_dir", "(self, iteration: int, scaffold_id: str) -> Path"),
        ],
    )
    def test_signatures(self, method: str, signature: str) -> None:
        found = str(inspect.signature(getattr(ExperimentFileManager, method)))
        assert re.sub(r"(\w+\.)+", "", found) == signature

    @pytest.mark.parametrize(
        "name",
        ["copy_scaffold", "find_scaffold_iteration", "list_scaffolds", "get_scaffold_path", "get_logs_path"],
    )
    def test_deleted_methods_are_absent(self, name: str) -> None:
        assert not hasattr(ExperimentFileManager, name)

    def test_only_the_docker_methods_return_paths(self) -> None:
        public = {name for name in dir(ExperimentFileManager) if not name.startswith("_")}
        answers = {name: answer_of(getattr(ExperimentFileManager, name)) for name in public}
        giving = {name for name, answer in answers.items() if PurePath in classes_in(answer)}
        assert giving == {"get_docker_scaffold_dir", "get_docker_logs_dir"}

    @pytest.mark.parametrize(
        "answer",
        [Path, PurePath, Path | None, tuple[str, Path], list[Path], dict[str, tuple[Path, ...]], Iterator[Path]],
    )
    def test_a_path_is_found_wherever_it_hides_in_an_answer(self, answer: Any) -> None:
        assert PurePath in classes_in(answer) | classes_in(Callable[[int], answer])

    def test_nothing_else_of_it_is_a_path(self, files: ExperimentFileManager) -> None:
        assert not [name for name, value in vars(files).items() if isinstance(value, PurePath) and name[0] != "_"]

    def test_save_scaffold_layout(self, files: ExperimentFileManager, directory: Path) -> None:
        files.save_scaffold("2-0", scaffold(model="m", parent_scaffold_id="2", iteration=1))
        found = sorted(os.listdir(directory / "scaffolds" / "2-0"))
        assert found == ["llm_executor.py", "llm_interfaces.py", "metadata.json", "scaffold.py"]
        metadata = json.loads((directory / "scaffolds/2-0/metadata.json").read_text())
        assert metadata["parent_scaffold_id"] == "2"
        assert metadata["iteration"] == 1
        assert metadata["model"] == "m"
        assert metadata["created_at"].startswith("2026-01-02T03:04:05")

    def test_load_scaffold_gives_back_what_was_saved(self, files: ExperimentFileManager) -> None:
        saved = scaffold(code="x = 'ünï'\r\n", model="m")
        files.save_scaffold("0", saved)
        assert files.load_scaffold("0") == saved

    def test_a_scaffolds_notes_survive_whatever_a_model_answered(self, files: ExperimentFileManager) -> None:
        files.save_scaffold("0", scaffold(notes={"attempts": [{"answer": "half a pair: \ud800", "usd": 1e-07}]}))
        assert files.load_scaffold_metadata("0").notes == {"attempts": [{"answer": "half a pair: ?", "usd": 1e-07}]}

    def test_runtime_files_that_are_not_those_saved_are_named(
        self, files: ExperimentFileManager, directory: Path
    ) -> None:
        files.save_scaffold("0", scaffold())
        assert files.altered_runtime_files("0") == []
        (directory / "scaffolds/0/llm_interfaces.py").write_text("")
        (directory / "scaffolds/0/llm_executor.py").unlink()
        assert files.altered_runtime_files("0") == ["llm_interfaces.py"]
        files.save_scaffold("0", scaffold())
        assert files.altered_runtime_files("0") == []
        with pytest.raises(FileNotFoundError):
            files.altered_runtime_files("1")

    def test_save_scaffold_again_replaces(self, files: ExperimentFileManager) -> None:
        files.save_scaffold("0", scaffold())
        files.save_scaffold("0", scaffold(code="y = 2\n"))
        assert files.load_scaffold("0").code == "y = 2\n"

    def test_load_scaffold_missing(self, files: ExperimentFileManager) -> None:
        with pytest.raises(FileNotFoundError, match="'7'"):
            files.load_scaffold("7")

    def test_save_scaffold_that_cannot_be_saved(self, files: ExperimentFileManager, directory: Path) -> None:
        directory.mkdir()
        (directory / "scaffolds").write_text("a file stands where the directory should be")
        with pytest.raises(OSError):
            files.save_scaffold("0", scaffold())

    def test_scores_round_trip_and_exact_form(self, files: ExperimentFileManager, directory: Path) -> None:
        files.save_scores(3, {"0": 0.5}, {"0": 0.25, "1-0": 1.0})
        assert json.loads((directory / "scoring/scores_3.json").read_text()) == {
            "train": {"0": 0.5},
            "valid": {"0": 0.25, "1-0": 1.0},
        }
        assert files.load_scores(3) == {"train": {"0": 0.5}, "valid": {"0": 0.25, "1-0": 1.0}}

    def test_load_scores_missing(self, files: ExperimentFileManager) -> None:
        with pytest.raises(FileNotFoundError, match="iteration 4"):
            files.load_scores(4)

    def test_docker_scaffold_dir(self, files: ExperimentFileManager, directory: Path) -> None:
        files.save_scaffold("0", scaffold())
        found = files.get_docker_scaffold_dir("0")
        assert found.is_absolute()
        assert found == directory / "scaffolds" / "0"

    def test_docker_scaffold_dir_is_absolute_from_a_relative_start(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        relative = ExperimentFileManager(Path("exp"))
        relative.save_scaffold("0", scaffold())
        assert relative.get_docker_scaffold_dir("0") == tmp_path / "exp/scaffolds/0"
        assert relative.get_docker_logs_dir(0, "0") == tmp_path / "exp/logs/0/0"

    def test_docker_scaffold_dir_missing(self, files: ExperimentFileManager) -> None:
        with pytest.raises(FileNotFoundError):
            files.get_docker_scaffold_dir("0")

    def test_docker_logs_dir(self, files: ExperimentFileManager, directory: Path) -> None:
        found = files.get_docker_logs_dir(2, "0-1")
        assert found == directory / "logs" / "2" / "0-1"
        assert found.is_dir()

    def test_log_layout(self, files: ExperimentFileManager, directory: Path) -> None:
        with files.open_log(1, "0-0", "train_1") as log:
            log.output("hello")
        assert "hello" in (directory / "logs/1/0-0/train_1.log").read_text()


BAD_IDS = ["", ".", "..", "../x", "a/b", "/etc", "a\0b", "a\n", "\na", "-a", ".a", "a b", "é", "a" * 65, "٣"]


class TestIds:
    @pytest.mark.parametrize("bad", BAD_IDS)
    def test_bad_scaffold_ids_are_refused_everywhere(self, files: ExperimentFileManager, bad: str) -> None:
        for call in (
            lambda: files.save_scaffold(bad, scaffold()),
            lambda: files.load_scaffold(bad),
            lambda: files.get_docker_scaffold_dir(bad),
            lambda: files.get_docker_logs_dir(0, bad),
            lambda: files.open_log(0, bad, "valid_0"),
            lambda: files.save_scores(0, {bad: 1.0}, {}),
            lambda: files.committed_run_types(0, bad),
        ):
            with pytest.raises(InvalidId, match="is not a scaffold id"):
                call()

    @pytest.mark.parametrize("bad", ["", "valid", "valid_", "valid_-1", "valid_01", "dev_0", "../valid_0", "valid_0\n"])
    def test_bad_run_types_are_refused(self, files: ExperimentFileManager, bad: str) -> None:
        with pytest.raises(InvalidId, match="is not a run type"):
            files.open_log(0, "0", bad)

    @pytest.mark.parametrize("bad", [-1, True, "0", 1.5, None])
    def test_bad_iterations_are_refused(self, files: ExperimentFileManager, bad: Any) -> None:
        with pytest.raises(InvalidId):
            files.get_docker_logs_dir(bad, "0")

    @given(st.text(max_size=80))
    def test_an_id_is_refused_or_names_one_directory(self, text: str) -> None:
        try:
            job = Job(experiment="e", iteration=0, scaffold_id=text, run_type="valid_0")
        except ValueError:
            return
        assert Path(job.scaffold_id).name == text
        assert text not in (".", "..")
        assert "\n" not in text


class TestResults:
    def test_the_first_commit_wins(self, files: ExperimentFileManager) -> None:
        first, second = result(score=1.0), result(score=0.0)
        assert files.commit_result(first)
        assert not files.commit_result(second)
        assert files.load_result(first.job) == first

    def test_of_many_processes_one_commits(self, files: ExperimentFileManager) -> None:
        with multiprocessing.get_context("spawn").Pool(4) as pool:
            won = pool.map(files.commit_result, [result(attempt=n) for n in range(1, 21)])
        assert won.count(True) == 1
        committed = files.load_result(result().job)
        assert committed is not None
        assert won[committed.attempt - 1]

    def test_no_temporary_file_is_left(self, files: ExperimentFileManager, directory: Path) -> None:
        files.commit_result(result())
        files.commit_result(result())
        assert os.listdir(directory / "results/0/0") == ["valid_0.json"]

    def test_results_come_in_order(self, files: ExperimentFileManager) -> None:
        for index in (10, 2, 1):
            files.commit_result(result(f"valid_{index}"))
        files.commit_result(result("train_0"))
        assert [r.run_type for r in files.results(0, "0")] == ["train_0", "valid_1", "valid_2", "valid_10"]

    @given(st.text(), st.floats(allow_nan=False, allow_infinity=False))
    def test_any_text_and_score_survive(self, text: str, score: float) -> None:
        import tempfile

        text = text.encode("utf-8", errors="replace").decode()
        with tempfile.TemporaryDirectory() as folder:
            files = ExperimentFileManager(Path(folder) / "exp")
            saved = result(output=text, feedback=text, score=score)
            assert files.commit_result(saved)
            assert files.load_result(saved.job) == saved

    def test_missing_result_is_none(self, files: ExperimentFileManager) -> None:
        assert files.load_result(result().job) is None
        assert not files.is_committed(result().job)
        assert files.committed_run_types(0, "0") == []

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            (lambda data: data[:-20], "is not valid JSON"),
            (lambda data: b"", "is not valid JSON"),
            (lambda data: b"[1]", "holds no JSON object"),
            (lambda data: data.replace(b'"score": 1.0', b'"score": 0.5'), "fails its digest"),
        ],
    )
    def test_a_damaged_file_is_named(
        self, files: ExperimentFileManager, directory: Path, change: Any, complaint: str
    ) -> None:
        files.commit_result(result())
        path = directory / "results/0/0/valid_0.json"
        path.write_bytes(change(path.read_bytes()))
        with pytest.raises(CorruptFile, match=complaint) as caught:
            files.load_result(result().job)
        assert str(path) in str(caught.value)

    def test_quarantine_and_release(self, files: ExperimentFileManager) -> None:
        failed = result(status=Status.INFRA_ERROR, score=None, error_message="docker went away")
        files.quarantine(failed)
        assert files.load_quarantined(failed.job) == failed
        assert files.quarantined_run_types(0, "0") == ["valid_0"]
        assert not files.is_committed(failed.job)
        files.release(failed.job)
        assert files.quarantined_run_types(0, "0") == []


class TestSchemas:
    """A result of schema 1 has no key, one of schema 2 has, and what is newer is not guessed at."""

    KEY = "sha256:" + "5" * 64

    def test_both_are_read(self, files: ExperimentFileManager) -> None:
        old, new = result(), result("valid_1", key=self.KEY)
        assert (old.schema_version, new.schema_version) == (1, 2)
        for one in (old, new):
            files.commit_result(one)
            assert files.load_result(one.job) == one

    @pytest.mark.parametrize("fields", [{"schema_version": 2}, {"schema_version": 1, "key": KEY}])
    def test_a_key_that_should_not_be_there_or_should_is_an_error(
        self, files: ExperimentFileManager, directory: Path, fields: dict[str, Any]
    ) -> None:
        self.write(directory, fields)
        with pytest.raises(CorruptFile, match=r"valid_0\.json is not a RunResult .*of schema [12] has (a|no) key"):
            files.load_result(result().job)

    def test_a_newer_one_is_an_error(self, files: ExperimentFileManager, directory: Path) -> None:
        self.write(directory, {"schema_version": 3, "key": self.KEY})
        with pytest.raises(CorruptFile, match=r"schema 3; this version knows 2\): use the version that wrote it"):
            files.load_result(result().job)

    @staticmethod
    def write(directory: Path, fields: dict[str, Any]) -> None:
        path = directory / "results/0/0/valid_0.json"
        atomic.write_file(path, atomic.seal({**result().model_dump(mode="json"), **fields}))


class TestWhatIsLeftBehind:
    """By processes that were killed; swept when a session begins."""

    @pytest.mark.parametrize("name", [".tmp-1-x", "scoring/.tmp-1-x", "results/0/0/.tmp-1-x"])
    def test_old_temporary_files_go_by_the_volumes_own_clock(
        self, files: ExperimentFileManager, directory: Path, name: str
    ) -> None:
        session = files.begin()
        began = 1e9  # an hour that is nowhere near the host's
        os.utime(directory / "sessions" / "1", (began, began))
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        new = (directory / name).with_name(".tmp-2-y")
        for path, age in ((directory / name, TEMPORARY_SECONDS + 1), (new, TEMPORARY_SECONDS - 1)):
            path.touch()
            os.utime(path, (began - age, began - age))
        for other in (".tmp-a/file", "logs/.tmp-3-z"):
            (directory / other).parent.mkdir(exist_ok=True)
            (directory / other).touch()
            os.utime(directory / other, (0, 0))
        files.sweep(session)
        assert not (directory / name).exists()
        assert all(path.exists() for path in (new, directory / ".tmp-a/file", directory / "logs/.tmp-3-z"))

    def test_who_wrote_here_is_known_and_goes_by_no_clock(
        self, files: ExperimentFileManager, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whether killed a moment ago, or at work for ever so long; another host's writer is given a minute."""
        session = files.begin()
        place, pid, started = this_writer().split(".")
        killed = directory / f".tmp-{place}.{pid}.{int(started) - 1}-a"
        living = directory / f".tmp-{this_writer()}-b"
        young, old = (directory / f".tmp-{'0' * 12}.{pid}.1-{end}" for end in "cd")
        now = time.time()
        for path, age in ((killed, 0.0), (living, 1e6), (young, 0.0), (old, 0.0)):
            path.touch()
            os.utime(path, (now - age, now - age))
        os.utime(directory / "sessions" / "1", (now - 600, now - 600))
        files.sweep(session)
        assert living.exists() and young.exists() and old.exists() and not killed.exists()
        os.utime(old, (now - 2 * TEMPORARY_SECONDS, now - 2 * TEMPORARY_SECONDS))
        killed.touch()
        files.sweep_again(session)
        assert {path for path in directory.iterdir() if path.is_file()} == {living, young}

    def test_a_killed_writer_is_named_by_what_it_leaves(self, files: ExperimentFileManager, directory: Path) -> None:
        session = files.begin()
        child = os.fork()
        if child == 0:
            os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
            try:
                files.update_spending(lambda spending: spending)
            finally:
                os._exit(1)
        os.waitpid(child, 0)
        assert len(list(directory.glob(".tmp-*"))) == 1
        files.sweep_again(session)
        assert not list(directory.glob(".tmp-*"))

    def test_the_drafts_of_what_is_committed_go_and_others_stay(
        self, files: ExperimentFileManager, directory: Path
    ) -> None:
        for run_type in ("valid_0", "valid_1"):
            files.begin_attempt(result(run_type).job, 1)._file.close()
        files.commit_result(result())
        files.sweep(files.begin())
        assert [path.name[:9] for path in (directory / "attempts/0/0").iterdir()] == ["valid_1.1"]


class TestTheDigestOfCode:
    def test_it_is_that_of_the_code_that_was_handed_out(self, files: ExperimentFileManager) -> None:
        files.save_scaffold("0", scaffold("x = 1\n"))
        files.get_docker_scaffold_dir("0")
        files.save_scaffold("0", scaffold("x = 2\n"))
        assert files.scaffold_digest("0") == code_digest("x = 1\n")
        files.get_docker_scaffold_dir("0")
        assert files.scaffold_digest("0") == code_digest("x = 2\n")

    def test_it_can_be_asked_for_at_once(self, files: ExperimentFileManager) -> None:
        files.save_scaffold("0", scaffold())
        assert files.scaffold_digest("0") == code_digest(CODE)
        with pytest.raises(FileNotFoundError):
            files.scaffold_digest("1")


class TestTheRest:
    def test_plan_round_trip_and_change(self, files: ExperimentFileManager) -> None:
        runs = {"valid_0": Example(id="a", input="x 😀")}
        plan = Plan(experiment="exp", iteration=0, runs=runs, assigned={"valid": ("0", "1")})
        with pytest.raises(FileNotFoundError):
            files.load_plan(0)
        files.save_plan(plan)
        assert files.load_plan(0) is files.load_plan(0)
        assert [job.scaffold_id for job in files.load_plan(0).jobs()] == ["0", "1"]
        files.save_plan(plan.model_copy(update={"assigned": {"valid": ("0",)}}))
        assert len(files.load_plan(0)) == 1
        assert files.plan_iterations() == [0]

    def test_plans_of_long_ago_are_let_go(self, files: ExperimentFileManager) -> None:
        for iteration in range(KEPT + 2):
            files.save_plan(Plan(experiment="exp", iteration=iteration))
        seen = [weakref.ref(files.load_plan(iteration)) for iteration in range(KEPT + 1)]
        files.load_plan(1)
        files.load_plan(KEPT + 1)
        gc.collect()
        still = [iteration for iteration, plan in enumerate(seen) if plan() is not None]
        assert len(still) == KEPT - 1
        assert 1 in still  # it was used since

    def test_create_makes_a_new_directory_each_time(self, tmp_path: Path) -> None:
        first = ExperimentFileManager.create(tmp_path, "gsm8k", NOW)
        second = ExperimentFileManager.create(tmp_path, "gsm8k", NOW)
        assert first.name == "gsm8k_20260102-030405"
        assert second.name == "gsm8k_20260102-030405-2"

    def test_open_wants_an_experiment(self, tmp_path: Path) -> None:
        with pytest.raises(NotAnExperiment, match=r"no metadata\.json"):
            ExperimentFileManager.open(tmp_path)

    def test_a_newer_file_says_so(self, files: ExperimentFileManager, directory: Path) -> None:
        files.save_details(Details(iteration=0, splits={}))
        path = directory / "scoring/details_0.json"
        path.write_text(path.read_text().replace('"splits"', '"shards"'))
        with pytest.raises(CorruptFile, match=r"details_0\.json is not a Details of this version"):
            files.load_details(0)

    def test_containers_can_read_what_they_must_whatever_the_umask(
        self, files: ExperimentFileManager, directory: Path
    ) -> None:
        before = os.umask(0o077)
        try:
            files.save_scaffold("0", scaffold())
        finally:
            os.umask(before)
        folder = directory / "scaffolds/0"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
        assert {stat.S_IMODE((folder / name).stat().st_mode) for name in os.listdir(folder)} == {0o644}

    def test_a_write_that_fails_leaves_the_old_file(
        self, files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch, directory: Path
    ) -> None:
        files.save_scores(0, {}, {"0": 1.0})

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError):
            files.save_scores(0, {}, {"0": 0.0})
        assert files.load_scores(0)["valid"] == {"0": 1.0}
        assert os.listdir(directory / "scoring") == ["scores_0.json"]


class TestSessions:
    """Numbered, each cancelled for ever or not at all."""

    def test_each_has_a_number_of_its_own(self, files: ExperimentFileManager) -> None:
        assert [files.begin() for _ in range(3)] == [1, 2, 3]
        assert not files.is_cancelled() and not files.is_cancelled(3)

    def test_all_so_far_are_cancelled_and_none_after(self, files: ExperimentFileManager) -> None:
        before = [files.begin(), files.begin()]
        files.cancel()
        assert files.is_cancelled() and all(map(files.is_cancelled, before))
        again = files.begin()
        assert not files.is_cancelled(again) and not files.is_cancelled()
        assert all(map(files.is_cancelled, before)), "a job of theirs may still lie on the queue"

    def test_a_host_that_sees_an_old_directory_misses_no_session(
        self, files: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As over NFS, where a listing is served from a cache."""
        files.begin()
        unseen = files.begin()
        monkeypatch.setattr(files, "_last_session", lambda: 0)
        files.cancel()
        assert files.is_cancelled(unseen)
        assert files.begin() > unseen


class TestTheBudget:
    """What is used of it: one file, changed by one at a time."""

    def test_nothing_is_used_and_no_file_is_there_at_first(self, files: ExperimentFileManager, directory: Path) -> None:
        assert files.load_spending() == Spending()
        assert not directory.exists()

    @pytest.mark.parametrize("durable", [False, True])
    def test_a_change_replaces_the_whole_file(
        self, files: ExperimentFileManager, directory: Path, durable: bool
    ) -> None:
        directory.mkdir()
        changed = files.update_spending(lambda spent: spent.plus(calls=1, tokens=5), durable)
        changed = files.update_spending(lambda spent: spent.plus(calls=1, usd=0.1), durable)
        assert changed == files.load_spending() == Spending(calls=2, tokens=5, usd=0.1)
        assert sorted(path.name for path in directory.iterdir()) == ["budget.json", "budget.lock"]

    def test_a_change_that_raises_changes_nothing_and_lets_others_go_on(
        self, files: ExperimentFileManager, directory: Path
    ) -> None:
        directory.mkdir()
        files.update_spending(lambda spent: spent.plus(calls=1))
        with pytest.raises(ZeroDivisionError):
            files.update_spending(lambda spent: spent.plus(calls=1 // 0))
        assert files.update_spending(lambda spent: spent) == Spending(calls=1)


def test_the_proposers_texts(files: ExperimentFileManager, directory: Path) -> None:
    assert files.load_proposer_files() == {}
    files.save_proposer_file("ideas.json", "ü\r\n")
    files.save_proposer_file("first.j2", "one")
    files.save_proposer_file("first.j2", "two")
    assert files.load_proposer_files() == {"first.j2": "two", "ideas.json": "ü\r\n"}
    (directory / "proposer" / "first.j2").write_bytes(b"\xff")
    with pytest.raises(CorruptFile, match=r"first\.j2 is not text"):
        files.load_proposer_files()


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a\0b"])
def test_a_proposers_text_has_a_plain_name(files: ExperimentFileManager, name: str) -> None:
    with pytest.raises(InvalidId):
        files.save_proposer_file(name, "x")
