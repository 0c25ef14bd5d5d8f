"""``verify``, and what ``resume`` and ``score`` refuse: a directory that is not whole, or that another conducts."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coordinator import session, worker_tools
from coordinator.aggregate import aggregate_all
from coordinator.session import summarize
from shared import atomic
from shared.file_manager import ExperimentFileManager
from tests.unit.coordinator.cli.test_bad_input import refused

RESULT = "results/0/0/valid_1.json"
NOBODY = 65534


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def files(experiment: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch) -> ExperimentFileManager:
    """The experiment with its scoring files, on a machine that can run it, in sessions that do nothing."""
    aggregate_all(experiment)
    monkeypatch.setattr(worker_tools, "call_worker", lambda *words, **options: _done())

    def run_session(files: ExperimentFileManager, reporter: object, **options: object) -> session.Summary:
        assert files.conductor_lock().holder() is not None, "it is held for as long as the session lasts"
        return summarize(files, aggregate_all(files), interrupted=False, stopped=None, seconds=1.0)

    monkeypatch.setattr(session, "run_session", run_session)
    return experiment


def _done() -> object:
    return subprocess.CompletedProcess((), 0, '{"sandbox": "process", "image": null}')


@pytest.fixture
def root(files: ExperimentFileManager) -> Path:
    return Path(str(files)).absolute()


# ---------------------------------------------------------------------- verify


def test_verify_says_that_it_is_whole_and_what_is_to_come(invoke, root: Path) -> None:
    before = tree(root)
    found = invoke("verify", root)
    assert found.exit_code == 0, found.output
    assert found.stdout.splitlines() == [
        f"incomplete plans/0.json: The results of 4 of 9 planned runs are still to come. "
        f"`scaffoldry resume {root}` goes on."
    ]
    assert found.stderr == (
        f"{root} is whole, and incomplete: 5 results and 2 scoring files, and 1 run in quarantine; 4 runs to come.\n"
    )
    assert tree(root) == before


def test_verify_names_a_truncated_result_and_one_with_a_flipped_bit(invoke, root: Path) -> None:
    for number, spoil in (
        (1, lambda data: data[:100]),
        (2, lambda data: data.replace(b'"score": 1.0', b'"score": 3.0')),
    ):
        path = root / f"results/0/0/valid_{number}.json"
        path.write_bytes(spoil(path.read_bytes()))
    found = invoke("verify", root)
    assert found.exit_code == 1
    lines = found.stdout.splitlines()
    assert lines[0].startswith("damaged    results/0/0/valid_1.json: It is not valid JSON")
    assert lines[1].startswith("damaged    results/0/0/valid_2.json: It fails its digest: it is not what was written.")
    assert f"{root} is NOT whole: 2 problems, beside 3 results" in found.stderr
    assert "Scoring files could not be compared (iteration 0)" in found.stderr
    *flaws, last = map(json.loads, invoke("verify", root, "--json").stdout.splitlines())
    assert [flaw["fault"] for flaw in flaws] == ["damaged", "damaged", "incomplete"]
    assert (last["event"], last["problems"], last["results"], last["unchecked"]) == ("verified", 2, 3, [0])


def test_verify_beside_a_session_says_whose(invoke, root: Path) -> None:
    (root / ".tmp-1-x").write_text("half")
    shutil.rmtree(root / "scoring")
    with ExperimentFileManager.open(root).conductor_lock().held():
        found = invoke("verify", root)
    assert found.exit_code == 0
    assert f"It is conducted by process {os.getpid()} of " in found.stderr
    assert ".tmp-1-x" not in found.stdout


# ---------------------------------------------------------------------- damaged records are run again


def test_resume_sets_damaged_records_aside_and_says_so(invoke, root: Path) -> None:
    torn = (root / RESULT).read_bytes()[:-20]
    (root / RESULT).write_bytes(torn)
    (root / "quarantine/0/1/valid_2.json").write_bytes(b"")
    found = invoke("resume", root)
    assert found.exit_code == 1, "the session ran, and did nothing"
    assert f"{root}/{RESULT} is damaged: it is not what was written. It is kept as damaged/{RESULT}." in found.stderr
    assert "2 damaged records set aside; what they were of is run again." in found.stderr
    assert not (root / RESULT).exists() and (root / "damaged" / RESULT).read_bytes() == torn
    assert invoke("verify", root).exit_code == 0

    (root / RESULT).write_bytes(b"again")
    invoke("resume", root)
    assert (root / "damaged" / RESULT).read_bytes() == torn, "nothing that was kept is lost"
    assert (root / "damaged" / f"{RESULT}.2").read_bytes() == b"again"


def test_results_that_nothing_counts_any_more_are_made_again(invoke, root: Path) -> None:
    shutil.rmtree(root / "results")
    for path in (root / "scoring").glob("*_0.json"):
        path.unlink()
    found = invoke("verify", root)
    assert found.exit_code == 0 and "9 runs to come" in found.stderr, found.output


# ---------------------------------------------------------------------- bad input changes nothing


def edited(path: str, old: str, new: str) -> Callable[[Path], object]:
    return lambda root: (root / path).write_text((root / path).read_text().replace(old, new))


def resealed(**fields: object) -> Callable[[Path], object]:
    def reseal(root: Path) -> None:
        record = atomic.unseal((root / RESULT).read_bytes(), root / RESULT)
        (root / RESULT).write_bytes(atomic.seal({**record, **fields}))

    return reseal


def no_digest(root: Path) -> None:
    record = atomic.unseal((root / RESULT).read_bytes(), root / RESULT)
    (root / RESULT).write_bytes(atomic.canonical_json(record))


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "newer experiment": (
        edited("metadata.json", '"schema_version": 1', '"schema_version": 2'),
        "metadata.json: It was written by a newer Scaffoldry (schema 2; this version knows 1): use the version that",
    ),
    "newer result": (resealed(schema_version=3), f"{RESULT}: It was written by a newer Scaffoldry (schema 3;"),
    "by hand": (no_digest, f"{RESULT}: It has no digest: it was put there by hand. Take it out of the experiment."),
    "unplanned": (
        lambda root: shutil.copy(root / RESULT, root / "results/0/0/valid_7.json"),
        "results/0/0/valid_7.json: Iteration 0 runs no 0 on valid_7",
    ),
    "no results": (
        lambda root: shutil.rmtree(root / "results/0/0"),
        "results/0: Results that scoring/details_0.json counts are gone: 3. Restore them from a copy.",
    ),
    "a result less": (
        lambda root: (root / RESULT).unlink(),
        "results/0: Results that scoring/details_0.json counts are gone: 1. Restore them from a copy.",
    ),
    "no run type": (
        lambda root: shutil.copy(root / RESULT, root / "results/0/0/mine.json"),
        "results/0/0/mine.json: It is no record of a run",
    ),
    "another job's": (
        lambda root: shutil.copy(root / RESULT, root / "results/0/1/valid_2.json"),
        "results/0/1/valid_2.json: It is the result of scaffold 0 on valid_1",
    ),
    "no scaffolds": (lambda root: shutil.rmtree(root / "scaffolds"), "scaffolds/0/scaffold.py: The scaffold 0 is gone"),
    "no plans": (lambda root: shutil.rmtree(root / "plans"), "plans/0.json: The plan of iteration 0 is gone"),
}


@pytest.mark.parametrize("locked_before", [True, False])
@pytest.mark.parametrize("case", BAD)
def test_resume_refuses_what_it_cannot_make_good(invoke, root: Path, case: str, locked_before: bool) -> None:
    if locked_before:
        invoke("resume", root)
    spoil, sentence = BAD[case]
    spoil(root)
    (root / "results/0/1/valid_0.json").write_bytes(b"torn")
    before = tree(root)
    refused(invoke("resume", root), f"{root} is not whole, so nothing was begun or changed:\n  ", sentence)
    assert tree(root) == before, "not even what is damaged was set aside"
    found = invoke("verify", root)
    assert found.exit_code == 1 and sentence in found.stdout
    assert tree(root) == before


def test_a_refusal_is_of_bounded_length(invoke, root: Path) -> None:
    for number in range(100, 150):
        shutil.copy(root / RESULT, root / f"results/0/0/valid_{number}.json")
    found = invoke("resume", root)
    refused(found, f"and 40 more, which `scaffoldry verify {root}` names.")
    assert len(found.stderr.splitlines()) == 12


@pytest.mark.parametrize("command", ["resume", "verify", "score"])
def test_half_an_experiment_is_none(invoke, root: Path, command: str) -> None:
    (root / "metadata.json").unlink()
    before = tree(root)
    refused(invoke(command, root), "there is no metadata.json in it", "Its results/ is what is left", "from a copy")
    assert tree(root) == before


AS_ROOT = os.getuid() == 0


def as_nobody(call: Callable[[], object]) -> tuple[int, str]:
    """What a call in a process without root's rights exits with, and what it says."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(writing, 2)
            os.dup2(writing, 1)
            if AS_ROOT:
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            found = call()
            os.write(writing, str(getattr(found, "output", found)).encode())
            os._exit(getattr(found, "exit_code", 99))
        finally:
            os._exit(98)
    os.close(writing)
    with os.fdopen(reading) as said:
        text = said.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text


@pytest.fixture
def others_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The experiment where another user can come to it."""
    place = Path("/tmp") / f"scaffoldry-test-{os.getpid()}-{root.parents[1].name}"
    shutil.copytree(root.parent, place)
    monkeypatch.chdir("/")
    yield place / root.name
    shutil.rmtree(place)


@pytest.mark.parametrize(
    ("command", "closed", "code", "sentence"),
    [
        ("verify", None, 0, "is whole, and incomplete: 5 results"),
        ("resume", None, 2, "coordinator.lock: permission denied. Change its owner or its mode"),
        ("resume", ".", 2, "permission denied"),
        ("verify", ".", 2, "permission denied"),
        ("resume", "results/0/1", 2, "results/0/1: This user may not read the folder."),
        ("verify", "results/0/1", 1, "unreadable results/0/1: This user may not read the folder."),
        ("verify", RESULT, 1, f"unreadable {RESULT}: Permission denied. Change its owner"),
        ("resume", RESULT, 2, f"{RESULT}: Permission denied. Change its owner"),
        ("verify", "plans", 1, "unreadable plans: Permission denied."),
        ("verify", "scaffolds", 1, "unreadable scaffolds: Permission denied."),
    ],
)
def test_permissions_taken_away(
    invoke, others_folder: Path, command: str, closed: str | None, code: int, sentence: str
) -> None:
    invoke(command, others_folder)  # so that nothing needs to be imported by the other user
    before = tree(others_folder)
    for path in (others_folder, *others_folder.rglob("*")):
        if closed is not None and AS_ROOT:
            os.chown(path, NOBODY, NOBODY)
        elif closed is None and not AS_ROOT:
            path.chmod(path.stat().st_mode & 0o555)  # ours, as another's would be: to be read
    if closed is not None:
        (others_folder / closed).chmod(0o000)
    found, said = as_nobody(lambda: invoke(command, others_folder))
    for path in (others_folder / (closed or "."), *others_folder.rglob("*")):
        path.chmod(path.stat().st_mode | 0o700)  # so that it can be read, and removed
    assert (found, sentence in said) == (code, True), said
    assert "Traceback" not in said and "bug" not in said
    assert tree(others_folder) == before


# ---------------------------------------------------------------------- one coordinator


@pytest.mark.parametrize("command", ["resume", "score"])
def test_a_second_coordinator_is_refused(invoke, root: Path, command: str) -> None:
    with ExperimentFileManager.open(root).conductor_lock().held():
        before = tree(root)
        found = invoke(command, root)
        assert tree(root) == before
        assert invoke("cancel", root).exit_code == 0, "it is the way to end the first"
    refused(found, f"{root} is conducted by process {os.getpid()} of ", os.uname().nodename, "scaffoldry cancel")


def test_the_lock_is_given_back_after_a_session(invoke, root: Path) -> None:
    for _ in range(2):
        assert invoke("resume", root).exit_code == 1
    assert ExperimentFileManager.open(root).conductor_lock().holder() is None
