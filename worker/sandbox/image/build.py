"""Building the sandbox image, once; quick where it is there already."""

import io
import tarfile
import time
from collections.abc import Callable

from shared.errors import InfraError, SandboxUnavailable
from shared.settings import get_settings
from worker.sandbox.docker import Engine
from worker.sandbox.image.base_image import find_base
from worker.sandbox.image.reference import DOCKERFILE, check_image, own_reference
from worker.sandbox.protocol import RUNNER

Say = Callable[[str], None]
"""Takes sentences about what is being done."""


def build_image(say: Say, engine: Engine | None = None) -> str:
    """Make sure that the sandbox image is there; its reference.

    An image named in the settings is the user's to build: it is pulled where a registry has it, and else must be there.
    Raises SandboxUnavailable where the engine does not answer or the image can't be made.
    """
    engine = engine or Engine()
    try:
        named = get_settings().sandbox_image
        return _use_named(engine, named, say) if named else _build_own(engine, say)
    except InfraError as error:
        raise SandboxUnavailable(str(error)) from error


def _use_named(engine: Engine, reference: str, say: Say) -> str:
    if engine.image(reference) is None and engine.is_offered(reference):
        say(f"Pulling {reference}.")
        engine.pull(reference)
    check_image(engine, reference)
    say(f"Using {reference}, as SCAFFOLDRY_SANDBOX_IMAGE says.")
    return reference


def _build_own(engine: Engine, say: Say) -> str:
    reference = own_reference()
    if engine.image(reference) is not None:
        say(f"The sandbox image {reference} is there.")
        return reference
    base = find_base(engine, say)
    began = time.monotonic()
    say(f"Building {reference} on {base}.")
    engine.build(_context(), reference, {"BASE_IMAGE": base})
    say(f"Built {reference} in {time.monotonic() - began:.0f} s.")
    return reference


def _context() -> io.BytesIO:
    """The build's context as a tar archive: the same bytes for the same files."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, path in (("Dockerfile", DOCKERFILE), ("runner.py", RUNNER)):
            data = path.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    archive.seek(0)
    return archive
