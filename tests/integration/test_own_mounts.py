"""A worker in a container finds its own container, whatever its host name, and where its directories really lie."""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from shared.host_paths import on_host
from worker.sandbox.docker import Engine
from worker.sandbox.own_mounts import own_ids, own_mounts

pytestmark = [pytest.mark.docker]

LOOK = "print(open('/proc/self/mountinfo').read(), open('/proc/self/cgroup').read(), sep='\\f')"


@pytest.fixture
def volume() -> Iterator[str]:
    client = docker.from_env()
    made = client.volumes.create()
    try:
        yield str(made.name)
    finally:
        made.remove()
        client.close()


def test_from_within_a_container_of_another_host_name(tmp_path: Path, sandbox_image: str, volume: str) -> None:
    client = docker.from_env()
    container = client.containers.create(
        sandbox_image,
        entrypoint=["python3", "-c", LOOK],
        hostname="lab2",
        volumes={str(tmp_path): {"bind": "/srv/volume"}, volume: {"bind": "/srv/volume/inner"}},
        network_disabled=True,
    )
    try:
        container.start()
        assert container.wait()["StatusCode"] == 0
        mountinfo, _, cgroup = container.logs().decode().partition("\f")
        (tmp_path / "mountinfo").write_text(mountinfo)
        (tmp_path / "cgroup").write_text(cgroup)
        assert next(own_ids(tmp_path, "lab2")) == container.id
        mounts = own_mounts(Engine(), tmp_path)
        assert mounts is not None
        assert on_host(Path("/srv/volume/data"), mounts) == tmp_path / "data"
        inner = on_host(Path("/srv/volume/inner/data"), mounts)
        assert inner is not None and inner.parts[-3:] == (volume, "_data", "data")
        assert on_host(Path("/elsewhere"), mounts) is None
    finally:
        container.remove(force=True)
        client.close()


def test_on_a_bare_host_there_is_no_such_container(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(f"36 35 98:0 /x/{'a' * 64}/hostname /etc/hostname rw - ext4 /dev/sda rw\n")
    assert own_mounts(Engine(), tmp_path) is None
