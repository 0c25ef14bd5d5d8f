"""A row is of its own fault, of what that is made with, and of what all rows share."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from coordinator.selftest import version
from coordinator.selftest.faults import FAULTS
from coordinator.selftest.version import row_digest, row_sources

Changed = Callable[..., list[int]]


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Changed:
    """Change a file in a copy of the selftest; the rows whose digest is another then."""
    root = tmp_path / "selftest"
    shutil.copytree(version._ROOT, root, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(version, "_ROOT", root)

    def change(name: str, mutated: bool = False) -> list[int]:
        anew = row_digest.__wrapped__
        before = {number: anew(number, mutated) for number in FAULTS}
        with (root / name).open("a") as file:
            file.write("# Changed.\n")
        return [number for number in FAULTS if anew(number, mutated) != before[number]]

    return change


def rows_of(*modules: str) -> list[int]:
    """The rows whose faults are in those modules."""
    return [number for number, kind in FAULTS.items() if kind.__module__.rpartition(".")[2] in modules]


def test_rows_of_one_file_are_made_with_the_same() -> None:
    assert row_digest(1) == row_digest(2)
    assert len({row_digest(number) for number in FAULTS}) == len({kind.__module__ for kind in FAULTS.values()})


def test_every_file_of_the_faults_belongs_to_a_row() -> None:
    files = set((version._ROOT / "faults").glob("*.py"))
    assert files and files <= {path for number in FAULTS for path in row_sources(number)}


def test_a_change_in_what_a_row_imports_changes_that_row_alone(changed: Changed) -> None:
    assert changed("faults/strikes.py") == rows_of("soak")
    assert changed("faults/deliveries.py") == rows_of("delivery")
    assert changed("faults/provider.py") == rows_of("provider")
    through_another = changed("faults/evidence.py")
    assert set(rows_of("workers", "engines", "volume", "soak")) <= set(through_another)
    assert not set(rows_of("clock", "provider")) & set(through_another)


def test_a_change_in_what_all_rows_share_changes_all(changed: Changed) -> None:
    assert changed("faults/base.py") == changed("judge.py") == list(FAULTS)
    assert changed("page.py") == []


def test_what_switches_a_mechanism_off_belongs_to_the_rows_without_it(changed: Changed) -> None:
    assert changed("mutations.py") == []
    assert changed("mutations.py", mutated=True) == list(FAULTS)
    assert changed("page.py", mutated=True) == []
