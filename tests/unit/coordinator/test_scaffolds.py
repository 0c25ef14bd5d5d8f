"""Reading scaffolds: folders and files, what is refused, and what is only warned of."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from coordinator.scaffolds import load_scaffolds, scaffold_warnings
from shared.errors import SpecError
from shared.models.spec import ExperimentSpec

NOW = datetime(2026, 1, 2, tzinfo=UTC)
CODE = "def process_input(input_string):\n    return input_string\n"


def spec(*scaffolds: str) -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {"name": "e", "data": {"valid": {"path": "d"}}, "scorer": {"name": "exact"}, "scaffolds": scaffolds}
    )


def put(folder: Path, source: str, code: str | bytes = CODE) -> Path:
    path = folder / source
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(code if isinstance(code, bytes) else code.encode())
    return path


def warnings(folder: Path, code: str) -> list[str]:
    put(folder, "a/scaffold.py", code)
    return scaffold_warnings(load_scaffolds(spec("a"), folder, NOW), folder)


def test_folders_and_files_are_read_in_order(tmp_path):
    put(tmp_path, "one/scaffold.py", CODE + "# one\n")
    absolute = put(tmp_path, "elsewhere/two.py", CODE + "# zwei: é\n")
    found = load_scaffolds(spec("one", str(absolute), "elsewhere/two.py"), tmp_path, NOW)
    assert [scaffold.code for scaffold in found] == [CODE + "# one\n", *[CODE + "# zwei: é\n"] * 2]
    assert [scaffold.metadata.source for scaffold in found] == ["one", str(absolute), "elsewhere/two.py"]
    assert all((s.metadata.created_at, s.metadata.iteration) == (NOW, 0) for s in found)
    assert scaffold_warnings(found, tmp_path) == []


def test_code_with_mistakes_is_read_as_it_is_and_never_run(tmp_path):
    code = f"open({str(tmp_path / 'ran')!r}, 'w')\ndef process_input(:\n"
    assert "line 2 of its code is not valid Python" in warnings(tmp_path, code)[0]
    put(tmp_path, "a/scaffold.py", f"open({str(tmp_path / 'ran')!r}, 'w')\n" + CODE)
    scaffold_warnings(load_scaffolds(spec("a"), tmp_path, NOW), tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "scaffolds.1: there is no"),
        (b"\x7fELF\0\0", "is not text in UTF-8"),
        (b"# \xff\n", "is not text in UTF-8"),
        (b"#" * (1024**2 + 1), "is larger than 1 MB"),
    ],
)
def test_what_is_no_scaffold(tmp_path, content, expected):
    put(tmp_path, "good/scaffold.py")
    if content is not None:
        put(tmp_path, "bad/scaffold.py", content)
    with pytest.raises(SpecError) as caught:
        load_scaffolds(spec("good", "bad"), tmp_path, NOW)
    assert expected in str(caught.value)
    assert str(tmp_path / "bad" / "scaffold.py") in str(caught.value)


def test_a_folder_without_code_a_file_that_is_none_and_a_name_with_nul(tmp_path):
    (tmp_path / "empty").mkdir()
    put(tmp_path, "notes.txt")
    for source in ("empty", "notes.txt", "missing.py", ""):
        with pytest.raises(SpecError, match=r"scaffolds\.0: there is no"):
            load_scaffolds(spec(source), tmp_path, NOW)
    with pytest.raises(SpecError, match=r"scaffolds\.0: .* cannot be read"):
        load_scaffolds(spec("a\0b"), tmp_path, NOW)
    (tmp_path / "folder" / "scaffold.py").mkdir(parents=True)
    with pytest.raises(SpecError, match="cannot be read"):
        load_scaffolds(spec("folder"), tmp_path, NOW)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (CODE, []),
        ("async def process_input(s): return s", []),
        ("process_input = str.upper", []),
        ("from llm_interfaces import *", []),
        ("from json import dumps as process_input", []),
        ("if True:\n    def process_input(s): return s", []),
        ("try:\n    process_input = 1\nexcept ValueError:\n    pass", []),
        ("", ["a: its code defines no process_input(input_string); its runs will fail."]),
        ("def main():\n    def process_input(s): return s", ["defines no process_input"]),
        ("class A:\n    def process_input(self, s): return s", ["defines no process_input"]),
        ("print(process_input)", ["defines no process_input"]),
        ("x = " + "(" * 1000, ["its runs will fail"]),
        ("x = " + "-" * 100_000 + "1", ["its runs will fail"]),
    ],
)
def test_warnings_about_code(tmp_path, code, expected):
    found = warnings(tmp_path, code)
    assert len(found) == len(expected)
    assert all(part in sentence for part, sentence in zip(expected, found, strict=True))


def test_files_that_are_not_copied_are_warned_of(tmp_path):
    for name in ("prompts.txt", "helper.py", "README.md", ".hidden", "llm_executor.py"):
        put(tmp_path, f"a/{name}")
    (tmp_path / "a" / "__pycache__").mkdir()
    assert warnings(tmp_path, CODE) == [
        "a: only scaffold.py is used; helper.py, prompts.txt will not be there when it runs."
    ]
