"""What ``doctor`` finds of broker and workers."""

import shutil
from pathlib import Path
from typing import Any

import pytest

import shared
from coordinator import doctor
from coordinator.doctor import doctor_workers
from shared.volume import VolumeProbe, volume_id
from tests.lab import FakeApp, stranger, worker

URL = "redis://:secret@127.0.0.1:6379/0"


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(*workers: Any) -> None:
        monkeypatch.setattr(doctor, "make_app", lambda url: FakeApp(*workers))
        monkeypatch.setattr(doctor, "check_broker", lambda app, where: None)

    return use


def test_no_broker_is_no_fault(tmp_path: Path) -> None:
    assert [finding.ok for finding in doctor_workers(None, tmp_path)] == [True]


def test_each_worker_is_asked_whether_it_shares_the_volume(install: Any, tmp_path: Path) -> None:
    here = tmp_path / "here"
    install(worker("near", here), worker("far", tmp_path / "there"))
    broker, far, near = doctor_workers(URL, here)
    assert (broker.ok, near.ok, far.ok) == (True, True, False)
    assert "secret" not in broker.detail and near.check == "worker near"
    assert f"does not share the data directory {here}" in far.detail and far.fix is not None
    assert [path.name for path in here.iterdir()] == [".volume"], "the probe is gone"


def test_each_worker_says_what_it_finds_on_its_own_host(install: Any, tmp_path: Path) -> None:
    finding = {"check": "docker", "ok": False, "detail": "The engine does not answer.", "fix": "Start it."}
    install(
        worker("lab1", tmp_path, findings=[finding]),
        worker("lab2", tmp_path, findings=[{**finding, "ok": "perhaps"}]),
        worker("old", tmp_path, version="0.0.9", findings=[finding]),
    )
    *_, lab1, lab2 = doctor_workers(URL, tmp_path)
    assert lab1.model_dump() == {**finding, "check": "worker@lab1: docker"}
    assert (lab2.check, lab2.ok) == ("worker@lab2", None) and "did not say" in lab2.detail


def test_a_copy_of_the_volume_is_another_one(install: Any, tmp_path: Path) -> None:
    """It has the same id, but what is written into one is not seen in the other."""
    here = tmp_path / "here"
    volume_id(here)
    shutil.copytree(here, tmp_path / "copy")
    install(worker("copied", tmp_path / "copy"))
    _, copied = doctor_workers(URL, here)
    assert (copied.ok, "its data directory is not this one" in copied.detail) == (False, True)


def test_a_worker_whose_writing_is_not_seen(install: Any, tmp_path: Path) -> None:
    name, _ = worker("mute", tmp_path)
    install((name, lambda question: worker("mute", tmp_path)[1]({"command": question["command"]})))
    _, mute = doctor_workers(URL, tmp_path)
    assert (mute.ok, "what it writes is not seen here" in mute.detail) == (False, True)


def test_a_worker_of_another_version(install: Any, tmp_path: Path) -> None:
    install(worker("old", tmp_path, version="0.0.9"), stranger("worker@older", {"error": "KeyError"}))
    _, old, older = doctor_workers(URL, tmp_path)
    assert (old.ok, older.ok) == (False, False)
    assert f"runs Scaffoldry 0.0.9, and this is {shared.__version__}" in old.detail
    assert "another version of Scaffoldry" in older.detail


@pytest.mark.parametrize(("ahead", "words"), [(3600.0, "1 h ahead of"), (-3600.0, "1 h behind")])
def test_clocks_an_hour_apart_are_worth_a_word(install: Any, tmp_path: Path, ahead: float, words: str) -> None:
    install(worker("early", tmp_path, ahead=ahead), worker("near", tmp_path, ahead=1.0))
    _, early, clock, near = doctor_workers(URL, tmp_path)
    assert (early.ok, near.ok, clock.ok) == (True, True, None)
    assert words in clock.detail and "NTP" in (clock.fix or "")


def test_two_hosts_of_one_name(install: Any, tmp_path: Path) -> None:
    twin = worker("lab", tmp_path, host="b", instance="2")
    install(worker("lab", tmp_path, host="a", instance="1"), twin)
    *_, name = doctor_workers(URL, tmp_path)
    assert (name.check, name.ok) == ("name lab", False)
    assert "2 workers answer as worker@lab, on the hosts a, b" in name.detail


def test_no_worker_answers(install: Any, tmp_path: Path) -> None:
    install()
    _, workers = doctor_workers(URL, tmp_path)
    assert workers.ok is False
    assert workers.fix == "scaffoldry worker --broker-url redis://USER:PASSWORD@127.0.0.1:6379/0"
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory_that_nobody_uses_is_shared_by_none(install: Any, tmp_path: Path) -> None:
    install(worker("lab", tmp_path / "there"))
    _, lab = doctor_workers(URL, tmp_path / "here")
    assert lab.ok is False and "this one holds no volume's id" in lab.detail
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("error", [ConnectionError("the broker went away"), KeyboardInterrupt()])
def test_the_probe_is_removed_whatever_happens(install: Any, tmp_path: Path, error: BaseException) -> None:
    volume_id(tmp_path)

    def fail(question: dict[str, Any]) -> None:
        assert VolumeProbe(tmp_path, question["probe"]).answer(question["token"], "lab") is None
        raise error

    install(("worker@lab", fail))
    with pytest.raises(type(error)):
        doctor_workers(URL, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".volume"]


def test_a_data_directory_that_cannot_be_written_is_what_is_told(install: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    install()
    with pytest.raises(NotADirectoryError):
        doctor_workers(URL, tmp_path / "file")
