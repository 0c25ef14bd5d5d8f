"""Finding the own container's id in what the kernel shows, in each of the places where it may stand."""

from pathlib import Path
from typing import Any

import pytest

from shared.errors import InfraError
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.own_mounts import own_ids, own_mounts

OWN, OTHER = "a1" * 32, "b2" * 32
MOUNTINFO = f"""\
1 2 0:1 / / rw - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/{OTHER}/diff
3 1 8:1 /var/lib/docker/containers/{OWN}/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw
4 1 8:1 /var/lib/docker/containers/{OWN}/hostname /etc/hostname rw - ext4 /dev/sda1 rw
"""
HOST_MOUNTINFO = f"""\
1 2 8:1 / / rw - ext4 /dev/sda1 rw
9 1 0:9 / /var/lib/docker/containers/{OTHER}/mounts/shm rw - tmpfs shm rw
"""


@pytest.mark.parametrize(
    ("mountinfo", "cgroup", "hostname", "ids"),
    [
        (MOUNTINFO, "0::/\n", "lab2", [OWN]),
        (MOUNTINFO, "0::/\n", OWN[:12], [OWN, OWN[:12]]),
        ("", f"12:memory:/docker/{OWN}\n1:name=systemd:/docker/{OWN}\n", "lab2", [OWN]),
        ("", f"0::/system.slice/docker-{OWN}.scope\n", "lab2", [OWN]),
        ("", f"0::/docker/{OTHER}/docker/{OWN}\n", "lab2", [OWN]),
        ("", "0::/\n", OWN[:12], [OWN[:12]]),
        (HOST_MOUNTINFO, "0::/user.slice\n", "lab2", []),
        (None, None, "lab2", []),
    ],
)
def test_ids(tmp_path: Path, mountinfo: str | None, cgroup: str | None, hostname: str, ids: list[str]) -> None:
    for name, text in (("mountinfo", mountinfo), ("cgroup", cgroup)):
        if text is not None:
            (tmp_path / name).write_text(text)
    assert list(own_ids(tmp_path, hostname)) == ids


class KnowingEngine:
    """Knows some containers."""

    def __init__(self, containers: dict[str, list[dict[str, Any]]]) -> None:
        self._containers = containers

    def mounts(self, name: str) -> list[dict[str, Any]] | None:
        return self._containers.get(name)


def test_an_id_that_the_engine_does_not_know_is_another_engines(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTINFO)
    assert own_mounts(KnowingEngine({OTHER: []}), tmp_path) is None  # type: ignore[arg-type]
    assert own_mounts(KnowingEngine({OWN: []}), tmp_path) == []  # type: ignore[arg-type]


def test_the_sandbox_says_what_its_engine_calls_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    sandbox = DockerSandbox(KnowingEngine({}))  # type: ignore[arg-type]
    mounts = [{"Source": "/srv/x", "Destination": str(tmp_path / "real")}]
    monkeypatch.setattr("worker.sandbox.docker_sandbox.own_mounts", lambda engine: mounts)
    assert sandbox.host_directory(tmp_path / "real" / "a", None) == Path("/srv/x/a")
    assert sandbox.host_directory(tmp_path / "link", None) == Path("/srv/x"), "mounts are by real paths"
    assert sandbox.host_directory(tmp_path / "real", Path("/said")) == Path("/said")
    monkeypatch.setattr("worker.sandbox.docker_sandbox.own_mounts", lambda engine: None)
    assert sandbox.host_directory(tmp_path / "real", None) is None


def test_an_engine_that_does_not_answer_is_for_others_to_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(engine: object) -> None:
        raise InfraError("no engine")

    monkeypatch.setattr("worker.sandbox.docker_sandbox.own_mounts", away)
    assert DockerSandbox(KnowingEngine({})).host_directory(tmp_path, None) is None  # type: ignore[arg-type]
