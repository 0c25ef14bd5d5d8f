"""The image under the sandbox image: Python's official one, or, where no registry answers, one of Debian's packages."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from shared.errors import SandboxUnavailable
from worker.sandbox.docker import Engine

OFFICIAL = "python:3.12-slim"
SUITE = "bookworm"
FALLBACK_REPOSITORY = "scaffoldry/base"
FALLBACK = f"{FALLBACK_REPOSITORY}:{SUITE}"
REGISTRY_TIMEOUT = 8
"""Seconds in which a registry must answer before Debian's packages are used instead."""

Say = Callable[[str], None]


def find_base(engine: Engine, say: Say) -> str:
    """The base image's reference; it is pulled or made where it is not there."""
    for reference in (OFFICIAL, FALLBACK):
        if engine.image(reference) is not None:
            return reference
    say(f"Asking the registry for {OFFICIAL} (at most {REGISTRY_TIMEOUT} s).")
    if engine.is_offered(OFFICIAL, REGISTRY_TIMEOUT):
        say(f"Pulling {OFFICIAL}.")
        engine.pull(OFFICIAL)
        return OFFICIAL
    say(f"No registry answers: making {FALLBACK} of Debian's packages instead, which takes a minute or two.")
    _make_fallback(engine, say)
    return FALLBACK


def _make_fallback(engine: Engine, say: Say) -> None:
    as_root = _way_to_root()
    _need_debootstrap(as_root, say)
    began = time.monotonic()
    parent = Path(tempfile.mkdtemp(prefix="scaffoldry-base-"))
    tree = parent / "tree"
    try:
        _run(
            [*as_root, "debootstrap", "--variant=minbase", "--include=python3,ca-certificates", SUITE, str(tree)],
            "debootstrap could not make a Debian tree",
        )
        _slim(as_root, tree)
        _import(as_root, engine, tree)
    finally:
        _remove(as_root, parent)
    say(f"Made {FALLBACK} in {time.monotonic() - began:.0f} s.")


def _way_to_root() -> tuple[str, ...]:
    """What a command that only root may run begins with: nothing for root, else a sudo that asks for no password."""
    if os.geteuid() == 0:
        return ()
    sudo = ("sudo", "-n")
    if shutil.which("sudo"):
        asked = subprocess.run([*sudo, "true"], stdin=subprocess.DEVNULL, capture_output=True)
        if asked.returncode == 0:
            return sudo
    raise SandboxUnavailable(
        f"No registry answers, and only root or a user whose sudo asks for no password can make the image of Debian's "
        f"packages: run `scaffoldry image build` as root once, or load an image named {OFFICIAL}."
    )


def _need_debootstrap(as_root: Sequence[str], say: Say) -> None:
    if shutil.which("debootstrap"):
        return
    if not shutil.which("apt-get"):
        raise SandboxUnavailable(
            f"No registry answers, and there is no debootstrap to make an image of Debian's packages: "
            f"install debootstrap, or load an image named {OFFICIAL}."
        )
    say("Installing debootstrap with apt-get.")
    _run([*as_root, "apt-get", "update", "-qq"], "apt-get could not read the lists of packages")
    _run(
        [*as_root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", "debootstrap"],
        "apt-get could not install debootstrap",
    )


def _run(command: Sequence[str], complaint: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        last = done.stdout.decode(errors="replace").strip()[-500:]
        raise SandboxUnavailable(f"{complaint} (exit code {done.returncode}): {last}")


def _slim(as_root: Sequence[str], tree: Path) -> None:
    """Leave out what only an installation needs."""
    patterns = ("var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*", "usr/share/doc/*", "usr/share/locale/*")
    paths = [str(path) for pattern in patterns for path in tree.glob(pattern)]
    _run([*as_root, "rm", "-rf", "--", *paths], "rm could not slim the Debian tree")


def _import(as_root: Sequence[str], engine: Engine, tree: Path) -> None:
    command = [*as_root, "tar", "--sort=name", "--numeric-owner", "--one-file-system", "-C", str(tree), "-c", "."]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as tar:
        assert tar.stdout is not None
        engine.import_tree(tar.stdout, FALLBACK_REPOSITORY, SUITE)
    if tar.returncode != 0:
        engine.remove_image(FALLBACK)
        raise SandboxUnavailable(f"tar could not read the Debian tree (exit code {tar.returncode}).")


def _remove(as_root: Sequence[str], parent: Path) -> None:
    """An interrupted debootstrap may leave /proc mounted in its tree."""
    proc = parent / "tree" / "proc"
    if proc.is_mount():
        subprocess.run([*as_root, "umount", "--lazy", str(proc)], check=True)
    _run([*as_root, "rm", "-rf", "--", str(parent)], "rm could not remove the Debian tree")
