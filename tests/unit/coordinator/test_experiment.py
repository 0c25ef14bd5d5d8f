"""Making an experiment's directory: whole, or not at all."""

import json
from pathlib import Path

import pytest

from coordinator.experiment import create, prepare, take_mended_scorer
from coordinator.verify import Check
from coordinator.verify.flaw import Fault
from shared.errors import SpecError
from shared.file_manager import ExperimentFileManager

GRADE = "def grade(output, example):\n    return 1.0\n"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    folder = tmp_path / "spec"
    folder.mkdir()
    (folder / "data.jsonl").write_text('{"input": "1", "answer": "1"}\n')
    (folder / "a.py").write_text("def process_input(text):\n    return text\n")
    (folder / "mine.py").write_text(GRADE)
    (folder / "words.yaml").write_text("[one, two]")
    record = {
        "name": "made",
        "data": {"valid": {"path": "data.jsonl"}},
        "scorer": {"name": "mine:grade"},
        "scaffolds": ["a.py"],
        "executor": {"model": "sim/script:words.yaml"},
    }
    (folder / "spec.yaml").write_text(json.dumps(record))
    return folder / "spec.yaml"


def made(spec: Path, data_dir: Path) -> ExperimentFileManager:
    return create(prepare(spec), data_dir, None)


def test_an_experiment_keeps_what_its_spec_brings_along(spec: Path, tmp_path: Path) -> None:
    files = made(spec, tmp_path / "experiments")
    assert files.load_scorer("mine") == GRADE
    assert files.load_model_script("words.yaml") == "[one, two]"
    assert files.load_model_script("../words.yaml") is None
    assert files.load_metadata().spec.name == "made"


def test_other_answers_of_a_scripted_model_are_noticed(spec: Path, tmp_path: Path) -> None:
    files = made(spec, tmp_path / "experiments")
    assert [flaw for flaw in Check(files).foundations() if flaw.is_problem] == []
    files.save_model_script("words.yaml", "[one, three]")
    (flaw,) = Check(files).foundations()
    assert (flaw.fault, flaw.file) == (Fault.DAMAGED, files.model_script_file("words.yaml"))
    (Path(str(files)) / flaw.file).unlink()
    (flaw,) = Check(files).foundations()
    assert flaw.fault is Fault.MISSING


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["save_scaffold", "save_scorer", "save_model_script", "save_plan", "save_metadata"])
def test_one_that_cannot_be_made_leaves_nothing(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(ExperimentFileManager, step, fail)
    with pytest.raises(type(error)):
        made(spec, tmp_path / "experiments")
    assert list((tmp_path / "experiments").iterdir()) == []


def test_a_mended_scorer_takes_the_copys_place_once(spec: Path, tmp_path: Path) -> None:
    files = made(spec, tmp_path / "experiments")
    assert take_mended_scorer(files) is None
    (spec.parent / "mine.py").write_text(GRADE.replace("1.0", "0.5"))
    assert "mine" in (take_mended_scorer(files) or "")
    assert files.load_scorer("mine") == GRADE.replace("1.0", "0.5")
    assert take_mended_scorer(files) is None


@pytest.mark.parametrize("code", ["def grade(:\n", "x = 1\n", "import sys\nsys.exit(0)\n"])
def test_a_scorer_that_does_not_load_leaves_the_copy(spec: Path, tmp_path: Path, code: str) -> None:
    files = made(spec, tmp_path / "experiments")
    (spec.parent / "mine.py").write_text(code)
    with pytest.raises(SpecError):
        take_mended_scorer(files)
    assert files.load_scorer("mine") == GRADE


def test_without_the_specs_folder_the_copy_is_used(spec: Path, tmp_path: Path) -> None:
    files = made(spec, tmp_path / "experiments")
    (spec.parent / "mine.py").unlink()
    assert take_mended_scorer(files) is None
    assert files.load_scorer("mine") == GRADE
