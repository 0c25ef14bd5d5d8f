"""Candidates out of a folder."""

from pathlib import Path

import pytest

from coordinator.proposers import KeptTexts, build_proposer, check_proposer
from coordinator.proposers.library import read_candidates
from shared.errors import CorruptFile, SpecError
from shared.file_manager import ExperimentFileManager
from shared.models.spec import ProposerSpec
from tests.proposing import FakeClient, first, task

LIBRARY = ProposerSpec.model_validate({"name": "library", "path": "mine"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


def test_candidates_come_in_natural_order_with_their_text_as_it_is(folder: Path) -> None:
    for name in ("v10.py", "v2.py", "v1.py", "B.py", "a.py", "notes.md", ".hidden.py"):
        (folder / name).write_bytes(name.encode() + b"\r\n")
    for name in ("v3", "empty", "__pycache__"):
        (folder / name).mkdir()
    (folder / "v3" / "scaffold.py").write_text("v3\n")
    found = [(candidate.source, candidate.code) for candidate in read_candidates(folder)]
    assert found == [
        ("a.py", "a.py\r\n"),
        ("B.py", "B.py\r\n"),
        ("v1.py", "v1.py\r\n"),
        ("v2.py", "v2.py\r\n"),
        ("v3/scaffold.py", "v3\n"),
        ("v10.py", "v10.py\r\n"),
    ]


def test_where_a_draft_came_from_is_noted(folder: Path) -> None:
    (folder / "one.py").write_text("1")
    proposer = build_proposer(LIBRARY, task(), check_proposer(LIBRARY, [], folder.parent), lambda model: FakeClient())
    draft = proposer.propose(first())
    assert (draft.code, draft.notes) == ("1", {"source": "one.py"})


def test_a_folder_without_candidates_or_none_at_all(folder: Path) -> None:
    with pytest.raises(SpecError, match=r"neither a \*\.py file nor a folder with a scaffold\.py"):
        check_proposer(LIBRARY, [], folder.parent)
    folder.rmdir()
    with pytest.raises(SpecError, match=r"proposer\.path of 'library': the folder .* No such file"):
        check_proposer(LIBRARY, [], folder.parent)
    folder.write_text("a file")
    with pytest.raises(SpecError, match="Not a directory"):
        check_proposer(LIBRARY, [], folder.parent)


@pytest.mark.parametrize(("data", "words"), [(b"\xff\xfe", "not text"), (b"a\0", "not text"), (b"x" * 2**21, "1 MB")])
def test_a_candidate_that_is_no_text(folder: Path, data: bytes, words: str) -> None:
    (folder / "bad.py").write_bytes(data)
    with pytest.raises(SpecError, match=rf"bad\.py.*{words}"):
        check_proposer(LIBRARY, [], folder.parent)


def test_what_was_kept_and_is_gone_is_named(tmp_path: Path) -> None:
    kept = KeptTexts(ExperimentFileManager(tmp_path))
    with pytest.raises(CorruptFile, match=r"The file library\.json is missing in the experiment's folder proposer/"):
        build_proposer(LIBRARY, task(), kept, lambda model: FakeClient())
