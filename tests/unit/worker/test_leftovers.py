"""The folders of a worker's killed processes go, and those of living ones stay."""

import tempfile
from multiprocessing.util import get_temp_dir
from pathlib import Path

import pytest

from shared.maker import this_process
from worker.leftovers import pool_folder, remove_leftovers

GONE = "1.1-"
"""A maker that is no more: another process has its id."""


@pytest.fixture(autouse=True)
def own_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_the_pools_files_lie_in_a_folder_that_names_its_maker(tmp_path: Path) -> None:
    with pool_folder("w_1") as folder:
        assert get_temp_dir() == str(folder) and this_process() in folder.name
        remove_leftovers("w_1", None)
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []


def test_only_what_is_left_of_that_worker_goes(tmp_path: Path) -> None:
    left, own, others = (
        Path(tempfile.mkdtemp(prefix=f"scaffoldry-{name}_pool_{maker}"))
        for name, maker in (("w", GONE), ("w", f"{this_process()}-"), ("w.5", GONE))
    )
    remove_leftovers("w", None)
    assert set(tmp_path.iterdir()) == {own, others} and not left.exists()
    remove_leftovers("w", None, own=True)
    assert list(tmp_path.iterdir()) == [others]
