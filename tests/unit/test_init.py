"""`make init`: `.env` from `.env.example`, once, and a sentence where this host is not ready."""

import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

OWNER = os.geteuid() or 12345
"""Who services run as in these tests; root, who makes `.env` for others, must name somebody."""


class Checkout:
    """A folder for `.env`, and a Docker socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = folder / ".env"
        self.users = folder / ".deploy" / "users.acl"
        self.other = folder / ".deploy" / "worker.env"
        self.docker = folder / "docker.sock"

    def init(self, **given: str) -> "subprocess.CompletedProcess[str]":
        environment = {
            **os.environ,
            "SCAFFOLDRY_DOCKER_SOCKET": str(self.docker),
            "SCAFFOLDRY_CACHE_DIR": str(self.folder / "cache"),
            "SCAFFOLDRY_UID": str(OWNER),
            "SCAFFOLDRY_GID": str(OWNER),
            **{name if name == "PATH" else f"SCAFFOLDRY_{name}": value for name, value in given.items()},
        }
        command = [str(ROOT / "scripts" / "init.sh"), str(self.folder)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    def values(self, file: Path | None = None) -> dict[str, str]:
        return dict(re.findall(r"^SCAFFOLDRY_([A-Z_]+)=(.*)$", (file or self.env).read_text(), re.M))

    def refuses(self, code: int, *words: str, **given: str) -> None:
        before = self.env.read_bytes() if self.env.exists() else None
        done = self.init(**given)
        assert done.returncode == code, done.stderr
        last = done.stderr.splitlines()[-1]
        for word in words:
            assert word in last
        assert (self.env.read_bytes() if self.env.exists() else None) == before


@pytest.fixture
def lab() -> Iterator[Checkout]:
    with tempfile.TemporaryDirectory(prefix="scaffoldry-") as name, socket.socket(socket.AF_UNIX) as docker:
        lab = Checkout(Path(name))
        lab.folder.chmod(0o755)  # so that another user gets through
        docker.bind(str(lab.docker))
        yield lab


def test_everything_is_filled_in_and_only_its_owner_reads_it(lab: Checkout) -> None:
    done = lab.init()
    assert done.returncode == 0, done.stderr
    values = lab.values()
    assert "" not in values.values()
    assert values["DATA_DIR"] == f"{lab.folder}/experiments" and (lab.folder / "experiments").is_dir()
    assert values["WORKER_NAME"] == os.uname().nodename.split(".")[0]
    assert values["DOCKER_GID"] == str(lab.docker.stat().st_gid)
    passwords = [values[f"{role}_PASSWORD"] for role in ("COORDINATOR", "WORKER", "FLOWER")] + [values["FLOWER_LOGIN"]]
    assert len({*passwords}) == 4 and all(len(one) == 40 for one in passwords)
    assert stat.S_IMODE(lab.env.stat().st_mode) == 0o600
    assert stat.S_IMODE(lab.users.parent.stat().st_mode) == 0o700
    assert lab.env.stat().st_uid == (lab.folder / "experiments").stat().st_uid == OWNER
    users = lab.users.read_text()
    assert all(f"user {role} on " in users for role in ("coordinator", "worker", "flower"))
    assert not any(password in users + done.stderr + done.stdout for password in passwords)
    assert not lab.other.exists()
    assert "# Of Flower's page." in lab.env.read_text()  # the example's words come along


def test_twice_is_as_good_as_once(lab: Checkout) -> None:
    lab.init()
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in (lab.env, lab.users)]
    assert lab.init().returncode == 0
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in (lab.env, lab.users)] == before


def test_what_is_there_stays_and_what_is_missing_is_added(lab: Checkout) -> None:
    kept = "# mine\nSCAFFOLDRY_WORKER_PASSWORD='my.own'\nOPENAI_API_KEY=sk-1==\nSCAFFOLDRY_CONCURRENCY=3"
    lab.env.write_text(kept)  # without an end of its last line
    done = lab.init(CONCURRENCY="8", FLOWER_PORT="5556")
    assert done.returncode == 0, done.stderr
    assert "SCAFFOLDRY_CONCURRENCY stays" in done.stderr
    text = lab.env.read_text()
    assert text.startswith(kept + "\n") and text.count("WORKER_PASSWORD") == text.count("CONCURRENCY=") == 1
    assert lab.values()["FLOWER_PORT"] == "5556" and lab.values()["FLOWER_PASSWORD"]


def test_a_changed_password_reaches_the_broker_s_users(lab: Checkout) -> None:
    lab.init()
    before = lab.users.read_text()
    lab.env.write_text(re.sub("(WORKER_PASSWORD)=.*", r"\1=another", lab.env.read_text()))
    assert lab.init().returncode == 0
    changed = set(lab.users.read_text().splitlines()) ^ set(before.splitlines())
    assert {line.split()[1] for line in changed} == {"worker"}


def test_other_hosts_get_the_workers_password_and_no_other(lab: Checkout) -> None:
    done = lab.init(REDIS_ADDRESS="10.0.0.7", REDIS_PORT="6380")
    assert done.returncode == 0, done.stderr
    head, other = lab.values(), lab.values(lab.other)
    assert other["BROKER_URL"] == f"redis://worker:{head['WORKER_PASSWORD']}@10.0.0.7:6380/0"
    assert stat.S_IMODE(lab.other.stat().st_mode) == 0o600
    secrets = [head[name] for name in ("COORDINATOR_PASSWORD", "FLOWER_PASSWORD", "FLOWER_LOGIN")]
    assert not any(secret in lab.other.read_text() for secret in secrets)
    wanted = set(re.findall(r"\$\{SCAFFOLDRY_([A-Z_]+):\?", (ROOT / "docker-compose.worker.yml").read_text()))
    assert wanted == set(other)


@pytest.mark.parametrize(
    ("there", "name"),
    [
        (("docker-compose",), "docker-compose"),
        (("docker",), "docker compose"),
        (("docker", "docker-compose"), "docker-compose"),
        ((), "docker-compose"),
    ],
)
def test_compose_is_called_what_it_is_called_here(lab: Checkout, there: tuple[str, ...], name: str) -> None:
    """``docker``: one with the plugin, which `docker compose version` answers for."""
    commands = lab.folder / "bin"
    commands.mkdir()
    for folder in ("/usr/bin", "/bin"):
        for path in Path(folder).iterdir():
            if path.name not in ("docker", "docker-compose") and not (commands / path.name).exists():
                (commands / path.name).symlink_to(path)
    for command in there:
        (commands / command).write_text('#!/bin/sh\n[ "$*" = "compose version" ]\n')
        (commands / command).chmod(0o755)
    done = lab.init(PATH=str(commands))
    assert done.returncode == 0, done.stderr
    assert lab.values()["COMPOSE"] == name


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATA_DIR", "/nowhere/experiments", ("There is no data directory /nowhere/experiments", "mount")),
        ("DATA_DIR", "experiments", ("must be an absolute path",)),
        ("CACHE_DIR", "/tmp/a b", ("SCAFFOLDRY_CACHE_DIR is /tmp/a b",)),
        ("CACHE_DIR", "/proc/scaffoldry", ("SCAFFOLDRY_CACHE_DIR cannot be made at /proc/scaffoldry",)),
        ("SOCKET_DIR", "/tmp/" + "x" * 70, ("too long for Unix sockets",)),
        ("SPEC_DIR", "/nowhere/specs", ("no folder of specs /nowhere/specs",)),
        ("UID", "0", ("do not run as root",)),
        ("UID", "ada", ("SCAFFOLDRY_UID is ada", "number")),
        ("DOCKER_GID", "54321", ("SCAFFOLDRY_DOCKER_GID is 54321, but",)),
        ("WORKER_PASSWORD", "p@ss/word", ("SCAFFOLDRY_WORKER_PASSWORD has a character",)),
        ("COMPOSE", "podman-compose", ("SCAFFOLDRY_COMPOSE is podman-compose", "docker compose")),
        ("REDIS_ADDRESS", "lab1", ("SCAFFOLDRY_REDIS_ADDRESS is lab1", "IPv4")),
        ("DOCKER_SOCKET", "/nowhere.sock", ("There is no Docker at /nowhere.sock", "make engine")),
    ],
)
def test_a_bad_value_is_refused_in_a_sentence(lab: Checkout, name: str, value: str, words: tuple[str, ...]) -> None:
    lab.refuses(3 if name == "DOCKER_SOCKET" else 2, *words, **{name: value})


def test_specs_and_experiments_need_a_folder_each(lab: Checkout) -> None:
    (lab.folder / "both").mkdir()
    lab.refuses(2, "both", DATA_DIR=f"{lab.folder}/both", SPEC_DIR=f"{lab.folder}/both")


def test_a_data_directory_of_somebody_else_is_refused(lab: Checkout) -> None:
    theirs = lab.folder / "theirs"
    theirs.mkdir(mode=0o555)
    lab.refuses(2, f"{theirs}, which user {OWNER} may not write", "SCAFFOLDRY_UID", DATA_DIR=str(theirs))


def test_root_takes_the_owner_of_the_data_directory(lab: Checkout) -> None:
    data = lab.folder / "data"
    data.mkdir()
    if os.geteuid() == 0:
        shutil.chown(data, 4321, 4322)
    assert lab.init(DATA_DIR=str(data), UID="", GID="").returncode == 0
    owner = data.stat()
    assert (lab.values()["UID"], lab.values()["GID"]) == (str(owner.st_uid), str(owner.st_gid))


def test_a_docker_that_is_not_for_this_user_is_said(lab: Checkout) -> None:
    lab.docker.chmod(0o000)
    without = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*without, str(ROOT / "scripts" / "init.sh"), str(lab.folder)],
        env={**os.environ, "SCAFFOLDRY_DOCKER_SOCKET": str(lab.docker)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 3 and "is not for this user" in done.stderr
