"""Where the base image comes from, on an engine and a registry that only pretend."""

import io
import shutil
import tarfile
from pathlib import Path
from typing import IO, Any

import pytest

from shared.errors import SandboxUnavailable
from worker.sandbox.image import base_image, build
from worker.sandbox.image.base_image import FALLBACK, OFFICIAL, find_base
from worker.sandbox.image.build import build_image
from worker.sandbox.image.reference import own_reference


class PretendedEngine:
    """Has ``images``; its registry has ``offered``."""

    def __init__(self, images: tuple[str, ...] = (), offered: tuple[str, ...] = ()) -> None:
        self.images = set(images)
        self.offered = offered
        self.context = self.imported = b""

    def image(self, reference: str) -> dict[str, Any] | None:
        return {"Id": "sha256:0"} if reference in self.images else None

    def is_offered(self, reference: str, seconds: float) -> bool:
        return reference in self.offered

    def pull(self, reference: str) -> None:
        self.images.add(reference)

    def import_tree(self, tar: IO[bytes], repository: str, tag: str) -> None:
        self.imported = tar.read()
        self.images.add(f"{repository}:{tag}")

    def build(self, context: io.BytesIO, tag: str, arguments: dict[str, str]) -> None:
        assert arguments["BASE_IMAGE"] in self.images
        self.context = context.read()
        self.images.add(tag)


def base_of(engine: PretendedEngine, monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[str]]:
    said: list[str] = []
    monkeypatch.setattr(base_image, "Engine", lambda timeout: engine)
    return find_base(engine, said.append), said  # type: ignore[arg-type]


@pytest.mark.parametrize("there", [OFFICIAL, FALLBACK])
def test_a_base_that_is_there_is_taken_without_asking(there: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert base_of(PretendedEngine((there,)), monkeypatch) == (there, [])


def test_the_official_one_is_pulled_where_a_registry_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = PretendedEngine(offered=(OFFICIAL,))
    base, said = base_of(engine, monkeypatch)
    assert base == OFFICIAL and OFFICIAL in engine.images
    assert said[-1] == f"Pulling {OFFICIAL}."


def program(folder: Path, name: str, body: str) -> None:
    """A program of that name which does that."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/bash\n{body}\n")
    (folder / name).chmod(0o755)


def test_without_registry_and_root_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(base_image.os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "debootstrap", "exit 0")
    for sudo in (None, "echo a password is required >&2; exit 1"):  # there is none, or it asks for a password
        if sudo is not None:
            program(tmp_path, "sudo", sudo)
        with pytest.raises(SandboxUnavailable, match=r"sudo asks for no password.* as root once"):
            base_of(PretendedEngine(), monkeypatch)


@pytest.mark.parametrize("euid", [0, 1000])
def test_all_that_root_alone_may_do_goes_through_sudo_where_one_is_not_root(
    euid: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, log = tmp_path / "bin", tmp_path / "log"
    mkdir, rm = shutil.which("mkdir"), shutil.which("rm")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(base_image.os, "geteuid", lambda: euid)
    monkeypatch.setattr(base_image.tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("PATH", str(folder))
    note = f'echo "${{AS_ROOT:-user}} ${{0##*/}}" >> {log}'
    program(folder, "sudo", '[ "$1" = -n ] && shift && AS_ROOT=root "$@"')
    program(folder, "true", "exit 0")
    # The tree is its last argument. It makes what is to be kept, and what is not.
    program(
        folder, "debootstrap", f'{note}\nfor tree; do :; done\n{mkdir} -p "$tree/etc" "$tree/usr/share/doc/python3"'
    )
    program(folder, "tar", f'{note}\n[ -d "$5/usr/share/doc/python3" ] || echo "$5"')
    program(folder, "rm", f'{note}\n{rm} "$@"')
    engine = PretendedEngine()
    base, said = base_of(engine, monkeypatch)
    assert base == FALLBACK and FALLBACK in engine.images and said[-1].startswith(f"Made {FALLBACK}")
    assert engine.imported.endswith(b"/tree\n"), "tar was told the tree, and it was slim by then"
    who = "user" if euid == 0 else "root"
    assert log.read_text().splitlines() == [f"{who} {name}" for name in ("debootstrap", "rm", "tar", "rm")]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_without_registry_and_debootstrap_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_image.os, "geteuid", lambda: 0)
    monkeypatch.setattr(base_image.shutil, "which", lambda program: None)
    with pytest.raises(SandboxUnavailable, match="install debootstrap"):
        base_of(PretendedEngine(), monkeypatch)


def test_a_failing_debootstrap_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(base_image.os, "geteuid", lambda: 0)
    rm = shutil.which("rm")
    monkeypatch.setattr(base_image.shutil, "which", lambda program: "/bin/false")
    monkeypatch.setattr(base_image.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    program(tmp_path / "bin", "debootstrap", "echo no mirror; exit 3")
    program(tmp_path / "bin", "rm", f'{rm} "$@"')
    with pytest.raises(SandboxUnavailable, match=r"exit code 3\): no mirror"):
        base_of(PretendedEngine(), monkeypatch)
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_the_context_holds_the_two_files_and_is_the_same_each_time() -> None:
    engine = PretendedEngine((OFFICIAL,))
    assert build_image(lambda sentence: None, engine) == own_reference()  # type: ignore[arg-type]
    with tarfile.open(fileobj=io.BytesIO(engine.context)) as tar:
        assert tar.getnames() == ["Dockerfile", "runner.py"]
    assert engine.context == build._context().read()
