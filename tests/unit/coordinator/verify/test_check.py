"""What is amiss in a directory is named, each with its file; what is only to be done yet is no fault."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from coordinator.aggregate import aggregate_all
from coordinator.verify import admit
from coordinator.verify.check import Check
from coordinator.verify.flaw import Fault
from coordinator.verify.records import RecordCheck
from shared import atomic
from shared.errors import NotWhole
from shared.file_manager import ExperimentFileManager
from shared.models import Job, RunResult, Status
from tests.unit.coordinator.verify.conftest import Look, commit_all, tree

RESULT = "results/0/0/valid_1.json"


def test_a_finished_experiment_has_no_flaw(look: Look, root: Path) -> None:
    before = tree(root)
    assert look() == []
    assert tree(root) == before


def test_a_flipped_bit_and_a_cut_of_a_result_are_found_wherever_they_are(look: Look, root: Path) -> None:
    path = root / RESULT
    whole = path.read_bytes()
    files = ExperimentFileManager.open(root)
    (place,) = [place for place in files.places("results") if place.path == RESULT]
    check = RecordCheck(files, {0})
    damages = [whole[:length] for length in (*range(0, len(whole), 29), len(whole) - 1)]
    name, exponent, escape = (whole.index(text) for text in (b"digest", b"e-05", b"u001b"))
    flips = [(at, 5 * at % 8) for at in range(len(whole))]
    flips += [(at, bit) for at in (*range(name, name + 6), exponent, escape + 4) for bit in range(8)]
    damages += [whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :] for at, bit in flips]
    for damage in damages:
        path.write_bytes(damage)
        (flaw,) = check.flaws(place)
        assert (flaw.fault, flaw.file) == (Fault.DAMAGED, RESULT), damage
        assert "resume" in flaw.problem, damage  # which sets it aside: nobody need remove it
    path.write_bytes(whole)
    assert look() == []


def sealed(root: Path, change: Callable[[dict[str, object]], object], path: str = RESULT) -> None:
    """Change a record and give it the digest of what it then is."""
    record = json.loads((root / path).read_bytes())
    del record["digest"]
    change(record)
    (root / path).write_bytes(atomic.seal(record))


def without_digest(root: Path) -> None:
    record = json.loads((root / RESULT).read_bytes())
    del record["digest"]
    (root / RESULT).write_bytes(atomic.canonical_json(record))


def copied(target: str) -> Callable[[Path], object]:
    def copy(root: Path) -> None:
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / RESULT, root / target)

    return copy


def removed(path: str) -> Callable[[Path], object]:
    def remove(root: Path) -> None:
        shutil.rmtree(root / path) if (root / path).is_dir() else (root / path).unlink()

    return remove


def edited(path: str, old: str, new: str) -> Callable[[Path], object]:
    def edit(root: Path) -> None:
        text = (root / path).read_text()
        assert old in text
        (root / path).write_text(text.replace(old, new))

    return edit


FAULTS: dict[str, tuple[Callable[[Path], object], Fault, str, str]] = {
    "no digest": (without_digest, Fault.FOREIGN, RESULT, "has no digest"),
    "newer result": (lambda r: sealed(r, lambda x: x.update(schema_version=3)), Fault.NEWER, RESULT, "schema 3"),
    "no result": (lambda r: sealed(r, lambda x: x.pop("status")), Fault.WRONG, RESULT, "status: Field required"),
    "other example": (lambda r: sealed(r, lambda x: x.update(example_id="v3")), Fault.WRONG, RESULT, "'v1' there"),
    "other code": (
        lambda r: (r / "scaffolds/0/scaffold.py").write_text("def process_input(text):\n    return '4'\n"),
        Fault.WRONG,
        RESULT,
        "It was made of something else",
    ),
    "other spec": (edited("metadata.json", '"seed": 0', '"seed": 1'), Fault.WRONG, RESULT, "made of something else"),
    "never counted": (
        lambda r: sealed(r, lambda x: x.update(status="infra_error", score=None)),
        Fault.WRONG,
        RESULT,
        "infra_error",
    ),
    "no score": (lambda r: sealed(r, lambda x: x.update(score=None)), Fault.WRONG, RESULT, "it has no score"),
    "another job's": (copied("results/0/1/valid_1.json"), Fault.FOREIGN, "results/0/1/valid_1.json", "moved here"),
    "no such run": (copied("results/0/0/valid_9.json"), Fault.FOREIGN, "results/0/0/valid_9.json", "runs no 0 on"),
    "no such scaffold": (copied("results/0/7/valid_1.json"), Fault.FOREIGN, "results/0/7/valid_1.json", "runs no 7"),
    "no such iteration": (copied("results/3/0/valid_1.json"), Fault.FOREIGN, "results/3/0/valid_1.json", "no plan"),
    "no run type": (copied("results/0/0/dev_1.json"), Fault.FOREIGN, "results/0/0/dev_1.json", "no record of a run"),
    "counted in quarantine": (
        copied("quarantine/0/0/valid_1.json"),
        Fault.WRONG,
        "quarantine/0/0/valid_1.json",
        "its status is ok",
    ),
    "scores": (edited("scoring/scores_0.json", "0.5", "0.75"), Fault.WRONG, "scoring/scores_0.json", "makes it anew"),
    "details": (edited("scoring/details_0.json", '"n": 4', '"n": 3'), Fault.WRONG, "scoring/details_0.json", "come to"),
    "no details": (lambda r: (r / "scoring/details_0.json").write_text("{"), Fault.WRONG, "scoring/details_0.json", ""),
    "plan gone": (removed("plans/0.json"), Fault.MISSING, "plans/0.json", "The plan of iteration 0 is gone"),
    "plan torn": (
        lambda r: (r / "plans/0.json").write_text("{"),
        Fault.DAMAGED,
        "plans/0.json",
        "It is not valid JSON",
    ),
    "newer plan": (edited("plans/0.json", '"schema_version":2', '"schema_version":3'), Fault.NEWER, "plans/0.json", ""),
    "another plan": (edited("plans/0.json", '"v0"', '"v9"'), Fault.WRONG, "plans/0.json", "for valid_0."),
    "data gone": (removed("data"), Fault.MISSING, "data/valid.jsonl", "The valid examples are gone"),
    "other data": (edited("data/valid.jsonl", '"v0"', '"v9"'), Fault.DAMAGED, "data/valid.jsonl", "began with"),
    "no data": (lambda r: (r / "data/valid.jsonl").write_bytes(b"\xff\n"), Fault.WRONG, "data/valid.jsonl", ""),
    "scaffold gone": (removed("scaffolds/1"), Fault.MISSING, "scaffolds/1/scaffold.py", "though iteration 0 runs it"),
    "scaffolds gone": (removed("scaffolds"), Fault.MISSING, "scaffolds/0/scaffold.py", "Restore"),
    "scaffold torn": (
        lambda r: (r / "scaffolds/1/scaffold.py").write_bytes(b"\xff"),
        Fault.DAMAGED,
        "scaffolds/1/scaffold.py",
        "It is not text",
    ),
    "executor gone": (
        removed("scaffolds/1/llm_executor.py"),
        Fault.MISSING,
        "scaffolds/1/llm_executor.py",
        "cannot ask its model",
    ),
    "executor edited": (
        edited("scaffolds/1/llm_executor.py", "complete", "complete_"),
        Fault.DAMAGED,
        "scaffolds/1/llm_executor.py",
        "asks its model by it",
    ),
    "interfaces edited": (
        lambda r: (r / "scaffolds/0/llm_interfaces.py").write_text("def complete(*_): return '4'\n"),
        Fault.DAMAGED,
        "scaffolds/0/llm_interfaces.py",
        "not what was saved with scaffold 0",
    ),
    "scaffold's metadata edited": (
        edited("scaffolds/1/metadata.json", '"iteration": 0', '"iteration": 1'),
        Fault.DAMAGED,
        "scaffolds/1/metadata.json",
        "It fails its digest",
    ),
    "scaffold's digest gone": (
        edited("scaffolds/1/metadata.json", '"digest"', '"source_digest"'),
        Fault.DAMAGED,
        "scaffolds/1/metadata.json",
        "It has lost its digest",
    ),
    "newer experiment": (
        edited("metadata.json", '"schema_version": 1', '"schema_version": 2'),
        Fault.NEWER,
        "metadata.json",
        "use the version that wrote it",
    ),
    "metadata torn": (
        lambda r: (r / "metadata.json").write_text("{}"),
        Fault.WRONG,
        "metadata.json",
        "of this version",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_faults(look: Look, root: Path, case: str) -> None:
    spoil, fault, file, words = FAULTS[case]
    spoil(root)
    before = tree(root)
    problems = [flaw for flaw in look() if flaw.is_problem]
    (found,) = [flaw for flaw in problems if flaw.file == file]
    assert found.fault is fault
    assert words in found.problem and str(root) not in found.problem.replace(f"resume {root}", "")
    assert tree(root) == before
    if case == "newer experiment":
        assert len(problems) == 1, "what else lies there is that version's to judge"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("results/0/0/.tmp-7-abc", "cut short"),
        ("notes.txt", "did not put it there"),
        ("results/0/0/.nfs0001", "did not put it there"),
    ],
)
def test_leftovers_are_named_and_do_no_harm(look: Look, root: Path, path: str, words: str) -> None:
    (root / path).write_text("x")
    (flaw,) = look()
    assert (flaw.fault, flaw.file, flaw.is_problem) == (Fault.LEFTOVER, path, False)
    assert words in flaw.problem


def test_the_draft_of_an_attempt_that_counts_no_more_is_a_leftover(look: Look, root: Path) -> None:
    draft = "attempts/0/0/valid_1.1-1.abc"
    (root / draft).parent.mkdir(parents=True, exist_ok=True)
    (root / draft).touch()
    (flaw,) = look()
    assert (flaw.fault, flaw.file) == (Fault.LEFTOVER, draft) and "counts no more" in flaw.problem
    assert list(Check(ExperimentFileManager.open(root), going_on=True).everything()) == []
    (root / RESULT).unlink()
    assert draft not in [flaw.file for flaw in look()], "somebody may be at work there"
    ExperimentFileManager.open(root).give_up(job_of(root), 2)
    (root / draft).touch()
    assert draft in [flaw.file for flaw in look()]


def test_who_has_many_results_to_look_through_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    admit(ExperimentFileManager.open(root), said.append)
    assert said == []
    monkeypatch.setattr("coordinator.verify.admission.MANY", 7)
    admit(ExperimentFileManager.open(root), said.append)
    assert said == ["Looking through what there is of 8 runs ..."]


@pytest.mark.parametrize("folder", ["results", "attempts"])
def test_a_folder_of_runs_on_another_disk_is_refused(look: Look, root: Path, tmp_path: Path, folder: str) -> None:
    (root / folder).mkdir(exist_ok=True)
    (root / folder).rename(tmp_path / "disk")
    (root / folder).symlink_to(tmp_path / "disk")
    (flaw,) = look()
    assert (flaw.file, flaw.is_problem) == (folder, True)
    with pytest.raises(NotWhole, match=f"{folder}: It is a symbolic link"):
        admit(ExperimentFileManager.open(root))


def test_a_damaged_fence_is_named(look: Look, root: Path) -> None:
    ExperimentFileManager.open(root).give_up(job_of(root), 1)
    assert look() == []
    fence = root / "fences/0/0/valid_1.json"
    fence.write_bytes(fence.read_bytes().replace(b'"attempt": 1', b'"attempt": 3'))
    (flaw,) = look()
    assert (flaw.fault, flaw.file) == (Fault.DAMAGED, "fences/0/0/valid_1.json")
    assert flaw.problem.endswith("Remove it once no worker is at work here.")


def job_of(root: Path, number: int = 1) -> Job:
    return Job(experiment=root.name, iteration=0, scaffold_id="0", run_type=f"valid_{number}")


def test_what_is_still_to_be_done_is_no_fault(look: Look, root: Path) -> None:
    files = ExperimentFileManager.open(root)
    lost = files.load_result(job_of(root))
    assert lost is not None
    (root / RESULT).unlink()
    files.quarantine(lost.model_copy(update={"status": Status.INFRA_ERROR, "score": None}))
    aggregate_all(files)
    (flaw,) = look()
    assert (flaw.fault, flaw.file, flaw.is_problem) == (Fault.INCOMPLETE, "plans/0.json", False)
    assert flaw.problem.startswith("The results of 1 of 8 planned runs are still to come.")


def test_scoring_files_of_a_session_that_was_killed_before_it_made_them_anew(look: Look, root: Path) -> None:
    files = ExperimentFileManager.open(root)
    result = files.load_result(job_of(root))
    assert result is not None
    (root / RESULT).unlink()
    aggregate_all(files)
    files.commit_result(result)  # and then it was killed
    older = [(Fault.INCOMPLETE, f"scoring/{kind}_0.json") for kind in ("scores", "details")]
    assert [(flaw.fault, flaw.file) for flaw in look()] == older
    assert "before the last results" in look()[0].problem
    shutil.rmtree(root / "scoring")
    assert [(flaw.fault, flaw.file) for flaw in look()] == older


def test_a_later_iteration_is_compared_after_those_before_it(look: Look, root: Path) -> None:
    files = ExperimentFileManager.open(root)
    plan = files.load_plan(0).model_copy(update={"iteration": 1, "assigned": {"valid": ("1",)}})
    files.save_plan(plan)
    commit_all(files, plan)
    aggregate_all(files)
    assert look() == []
    edited("scoring/details_1.json", '"n": 4', '"n": 3')(root)
    assert [flaw.file for flaw in look()] == ["scoring/details_1.json"]
    (root / RESULT).write_text("")
    found = [flaw.file for flaw in look()]
    assert found == [RESULT, "plans/0.json"], "and no scoring file: what they are made of is not sound"


def test_trials_belong_to_where_a_scaffold_comes_from(look: Look, root: Path) -> None:
    files = ExperimentFileManager.open(root)
    trial = files.load_plan(0).runs["preflight_0"]
    result = files.load_result(job_of(root))
    assert result is not None
    tried = {**result.model_dump(), "run_type": "preflight_0", "example_id": trial.id, "score": None}
    files.commit_result(RunResult.model_validate(tried))
    assert look() == []
    scaffold = files.load_scaffold("0")
    born_later = scaffold.metadata.model_copy(update={"iteration": 1})
    files.save_scaffold("0", scaffold.model_copy(update={"metadata": born_later}))
    (flaw,) = look()
    assert (flaw.fault, flaw.file) == (Fault.FOREIGN, "results/0/0/preflight_0.json")
    edited("scaffolds/0/metadata.json", '"iteration": 1', '"iteration": 2')(root)
    (flaw,) = look()
    assert (flaw.fault, flaw.file) == (Fault.DAMAGED, "scaffolds/0/metadata.json"), "and nothing is said of its trials"


def test_what_an_earlier_version_saved_without_digests_is_whole(look: Look, root: Path) -> None:
    path = root / "scaffolds/0/metadata.json"
    record = json.loads(path.read_bytes())
    del record["digest"], record["runtime_digests"]
    path.write_bytes(atomic.canonical_json(record))
    executor = root / "scaffolds/0/llm_executor.py"
    executor.write_text(executor.read_text() + "# as that version had it\n")
    assert look() == []


def test_nothing_is_begun_beside_an_edited_executor(root: Path) -> None:
    FAULTS["executor edited"][0](root)
    with pytest.raises(NotWhole, match=r"scaffolds/1/llm_executor\.py: It is not what was saved"):
        admit(ExperimentFileManager.open(root))
