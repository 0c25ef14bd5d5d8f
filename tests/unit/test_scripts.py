"""Where a server can't be had, the scripts stop with code 3 and name it, and what was to run with it does not."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

TOOLS = "bash dirname id cat mkdir rm sed seq sleep tail mktemp uname touch python3 env"
"""What the scripts use of every machine. No apt-get, redis-server, dockerd, docker, chromium or sudo among it."""


class Machine:
    """A machine that has those programs alone, and no engine that answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in TOOLS.split():
            found = shutil.which(tool)
            assert found is not None, tool
            (self.bin / tool).symlink_to(found)
        # A copy, with a product of its own, and a socket that is not there: the real engine is never asked.
        self.checkout = folder / "checkout"
        shutil.copytree(ROOT / "scripts", self.checkout / "scripts")
        engine = self.checkout / "scripts" / "engine.sh"
        text = engine.read_text()
        assert text.count("\nsocket=/var/run/docker.sock\n") == 1
        engine.write_text(text.replace("/var/run/docker.sock", str(folder / "no.sock")))
        self.program(self.checkout / ".venv/bin/scaffoldry", "exit 0")

    def program(self, path: Path, body: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def script(self, name: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(self.bin / "bash"), str(self.checkout / "scripts" / name), *arguments],
            env={"PATH": str(self.bin), "HOME": str(self.folder), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def stopped(done: "subprocess.CompletedProcess[str]", *words: str) -> None:
    """It ended with code 3 and one sentence, which has those words."""
    assert done.returncode == 3, done.stderr
    (sentence,) = done.stderr.splitlines()
    for word in words:
        assert word in sentence


def test_no_redis(machine: Machine) -> None:
    stopped(machine.script("redis.sh"), "There is no redis-server", "install Redis")


def test_no_engine(machine: Machine) -> None:
    stopped(machine.script("engine.sh", "start"), "No Docker engine answers", "docker.io")


def test_an_engine_elsewhere_that_does_not_answer(machine: Machine) -> None:
    url = f"unix://{machine.folder}/other.sock"
    stopped(machine.script("engine.sh", "start", DOCKER_HOST=url), "DOCKER_HOST", url, "unset")


def test_an_installation_that_fails(machine: Machine) -> None:
    """Its own words come along, and the sentence at the end."""
    for name in ("sudo", "apt-get"):
        machine.program(machine.bin / name, "[ $# = 2 ] && exit 0; echo no mirror; exit 100")
    done = machine.script("engine.sh", "start")
    assert done.returncode == 3
    assert "no mirror" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Could not install docker.io and iptables")


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ((), ("No Docker engine answers",)),
        (("engine",), ("There is no redis-server",)),
        (("engine", "redis-server"), ("There is no chromium",)),
        (("engine", "redis-server", "chromium", "chromedriver"), ("There is no compose command",)),
    ],
)
def test_what_needs_servers_is_not_run_without_them(
    there: tuple[str, ...], words: tuple[str, ...], machine: Machine
) -> None:
    have(machine, there)
    marker = machine.folder / "it ran"
    stopped(machine.script("with_servers.sh", "touch", str(marker)), *words)
    assert not marker.exists()


def test_what_needs_servers_is_run_with_them_and_its_code_is_handed_on(machine: Machine) -> None:
    have(machine, ("engine", "redis-server", "chromium", "chromedriver", "docker"))
    marker = machine.folder / "it ran"
    done = machine.script("with_servers.sh", "bash", "-c", f"touch '{marker}'; exit 7")
    assert (done.returncode, marker.exists()) == (7, True), done.stderr


def test_an_image_that_cannot_be_made_stops_it_too(machine: Machine) -> None:
    have(machine, ("engine", "redis-server", "chromium", "chromedriver", "docker"))
    machine.program(machine.checkout / ".venv/bin/scaffoldry", "echo No image. >&2; exit 3")
    marker = machine.folder / "it ran"
    stopped(machine.script("with_servers.sh", "touch", str(marker)), "No image.")
    assert not marker.exists()


def test_the_services_are_built_on_the_image_that_is_named(machine: Machine) -> None:
    for tool in ("flock", "cmp", "mv"):
        (machine.bin / tool).symlink_to(str(shutil.which(tool)))
    said = machine.folder / "said"
    machine.program(machine.bin / "docker", f'echo "$@" >>{said}; [ "$1" != run ] || echo 3.11.2 x86_64')
    for name in ("uv", "python"):
        machine.program(machine.checkout / ".venv/bin" / name, "exit 0")
    done = machine.script("compose_images.sh", BASE_IMAGE="lab/python:3.11")
    assert done.returncode == 0, done.stderr
    (built,) = (line for line in said.read_text().splitlines() if line.startswith("build "))
    assert "--build-arg BASE_IMAGE=lab/python:3.11 " in built
    assert done.stderr.endswith("(on lab/python:3.11).\n") or done.stdout.endswith("(on lab/python:3.11).\n")


def have(machine: Machine, there: tuple[str, ...]) -> None:
    """Programs that do nothing; ``engine``: one that answers when it is asked."""
    for name in there:
        if name != "engine":
            machine.program(machine.bin / name, "exit 0")
            continue
        engine = machine.checkout / "scripts" / "engine.sh"
        before, head, after = engine.read_text().partition("\nask_engine() {\n")
        assert head
        engine.write_text(f"{before}{head}    echo ok; return\n{after}")
