"""Which volume a data directory lies on, and whether another host's is the same."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared import atomic
from shared.errors import CorruptFile, InvalidId
from shared.volume import VolumeProbe, known_volume_id, mount_probe_dir, remove_stray_mount_probes, volume_id


def test_whoever_is_first_names_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(volume_id, [tmp_path / "experiments"] * 50))
    assert len(found) == 1 and found != {volume_id(tmp_path / "others")}
    assert [path.name for path in (tmp_path / "experiments").iterdir()] == [".volume"]


def test_who_only_looks_writes_nothing(tmp_path: Path) -> None:
    assert known_volume_id(tmp_path / "experiments") is None
    assert list(tmp_path.iterdir()) == []
    assert volume_id(tmp_path / "experiments") == known_volume_id(tmp_path / "experiments")


def test_another_host_may_be_first_by_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = atomic.write_first

    def late(path: Path, data: bytes) -> bool:
        first(path, b"0123456789abcdef")
        return first(path, data)

    monkeypatch.setattr(atomic, "write_first", late)
    assert volume_id(tmp_path) == "0123456789abcdef"


@pytest.mark.parametrize("content", [b"", b"0123", b"0123456789ABCDEF", b"../../../../../../x", b"\xff" * 16])
def test_what_is_no_id_is_refused(tmp_path: Path, content: bytes) -> None:
    """It becomes part of a queue's name."""
    (tmp_path / ".volume").write_bytes(content)
    with pytest.raises(CorruptFile, match=r"\.volume holds no volume's id"):
        volume_id(tmp_path)


def test_a_probe(tmp_path: Path) -> None:
    here, there = VolumeProbe(tmp_path / "here", "1"), VolumeProbe(tmp_path / "there", "1")
    here.ask("token")
    assert here.answer("token", "lab2") is None
    assert "another token" in (here.answer("other", "lab3") or "")
    assert "its data directory is not this one" in (there.answer("token", "lab4") or "")
    assert here.end() == ["lab2"]
    assert list((tmp_path / "here").iterdir()) == []


def test_a_worker_called_like_a_probe_does_not_remove_it(tmp_path: Path) -> None:
    VolumeProbe(tmp_path, "1").ask("token")
    assert not mount_probe_dir(tmp_path, "1").exists()
    with pytest.raises(InvalidId):
        mount_probe_dir(tmp_path, "../1")


@pytest.mark.parametrize("name", ["../probe", "/etc", "a\0b", "", None])
def test_a_probe_with_a_hostile_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidId):
        VolumeProbe(tmp_path, name)
    with pytest.raises(InvalidId):
        probe = VolumeProbe(tmp_path, "1")
        probe.ask("t")
        probe.answer("t", name)


def test_each_process_of_a_worker_has_a_folder_of_its_own_whatever_the_workers_name(tmp_path: Path) -> None:
    longest = "w" * 64
    folders = {mount_probe_dir(tmp_path, longest, pid) for pid in (None, 7, 4194304)}
    assert len(folders) == 3 and {folder.parent for folder in folders} == {tmp_path}


def test_what_a_killed_process_left_is_removed_and_no_other_workers(tmp_path: Path) -> None:
    others = [
        mount_probe_dir(tmp_path, "lab"),
        mount_probe_dir(tmp_path, "lab-2", 7),
        mount_probe_dir(tmp_path, "lab.7"),
    ]
    for folder in (*others, mount_probe_dir(tmp_path, "lab", 7)):
        (folder / "scaffolds").mkdir(parents=True)
    remove_stray_mount_probes(tmp_path, "lab")
    assert set(tmp_path.iterdir()) == set(others)
