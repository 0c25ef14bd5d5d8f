"""Where the base image comes from, on an engine and a registry that only pretend."""

import io
import tarfile
from typing import Any

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
        self.context: bytes = b""

    def image(self, reference: str) -> dict[str, Any] | None:
        return {"Id": "sha256:0"} if reference in self.images else None

    def is_offered(self, reference: str) -> bool:
        return reference in self.offered

    def pull(self, reference: str) -> None:
        self.images.add(reference)

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


def test_without_registry_and_root_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_image.os, "geteuid", lambda: 1000)
    with pytest.raises(SandboxUnavailable, match="as root once"):
        base_of(PretendedEngine(), monkeypatch)


def test_without_registry_and_debootstrap_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_image.os, "geteuid", lambda: 0)
    monkeypatch.setattr(base_image.shutil, "which", lambda program: None)
    with pytest.raises(SandboxUnavailable, match="install debootstrap"):
        base_of(PretendedEngine(), monkeypatch)


def test_a_failing_debootstrap_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(base_image.os, "geteuid", lambda: 0)
    monkeypatch.setattr(base_image.shutil, "which", lambda program: "/bin/false")
    monkeypatch.setattr(base_image.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "debootstrap").write_text("#!/bin/sh\necho no mirror\nexit 3\n")
    (tmp_path / "bin" / "debootstrap").chmod(0o755)
    with pytest.raises(SandboxUnavailable, match=r"exit code 3\): no mirror"):
        base_of(PretendedEngine(), monkeypatch)
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_the_context_holds_the_two_files_and_is_the_same_each_time() -> None:
    engine = PretendedEngine((OFFICIAL,))
    assert build_image(lambda sentence: None, engine) == own_reference()  # type: ignore[arg-type]
    with tarfile.open(fileobj=io.BytesIO(engine.context)) as tar:
        assert tar.getnames() == ["Dockerfile", "runner.py"]
    assert engine.context == build._context().read()
