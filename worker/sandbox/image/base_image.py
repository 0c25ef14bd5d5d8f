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
    if Engine(timeout=REGISTRY_TIMEOUT).is_offered(OFFICIAL):
        say(f"Pulling {OFFICIAL}.")
        engine.pull(OFFICIAL)
        return OFFICIAL
    say(f"No registry answers: making {FALLBACK} of Debian's packages instead, which takes a minute or two.")
    _make_fallback(engine, say)
    return FALLBACK


def _make_fallback(engine: Engine, say: Say) -> None:
    _need_debootstrap(say)
    began = time.monotonic()
    parent = Path(tempfile.mkdtemp(prefix="scaffoldry-base-"))
    tree = parent / "tree"
    try:
        _run(
            ["debootstrap", "--variant=minbase", "--include=python3,ca-certificates", SUITE, str(tree)],
            "debootstrap could not make a Debian tree",
        )
        _slim(tree)
        _import(engine, tree)
    finally:
        _remove(parent)
    say(f"Made {FALLBACK} in {time.monotonic() - began:.0f} s.")


def _need_debootstrap(say: Say) -> None:
    if os.geteuid() != 0:
        raise SandboxUnavailable(
            f"No registry answers, and only root can make the image of Debian's packages: "
            f"run `scaffoldry image build` as root once, or load an image named {OFFICIAL}."
        )
    if shutil.which("debootstrap"):
        return
    if not shutil.which("apt-get"):
        raise SandboxUnavailable(
            f"No registry answers, and there is no debootstrap to make an image of Debian's packages: "
            f"install debootstrap, or load an image named {OFFICIAL}."
        )
    say("Installing debootstrap with apt-get.")
    _run(["apt-get", "update", "-qq"], "apt-get could not read the lists of packages")
    _run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "debootstrap"],
        "apt-get could not install debootstrap",
    )


def _run(command: Sequence[str], complaint: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        last = done.stdout.decode(errors="replace").strip()[-500:]
        raise SandboxUnavailable(f"{complaint} (exit code {done.returncode}): {last}")


def _slim(tree: Path) -> None:
    """Leave out what only an installation needs."""
    for pattern in ("var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*", "usr/share/doc/*", "usr/share/locale/*"):
        for path in tree.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _import(engine: Engine, tree: Path) -> None:
    command = ["tar", "--sort=name", "--numeric-owner", "--one-file-system", "-C", str(tree), "-c", "."]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tar:
        assert tar.stdout is not None
        engine.import_tree(tar.stdout, FALLBACK_REPOSITORY, SUITE)
    if tar.returncode != 0:
        engine.remove_image(FALLBACK)
        raise SandboxUnavailable(f"tar could not read the Debian tree (exit code {tar.returncode}).")


def _remove(parent: Path) -> None:
    """An interrupted debootstrap may leave /proc mounted in its tree."""
    proc = parent / "tree" / "proc"
    if proc.is_mount():
        subprocess.run(["umount", "--lazy", str(proc)], check=True)
    shutil.rmtree(parent)
