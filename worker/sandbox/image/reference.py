"""Which image scaffolds run in, and whether it is there."""

import hashlib
from functools import lru_cache
from pathlib import Path

from shared.errors import InfraError, SandboxUnavailable
from shared.models import ImageInfo
from shared.settings import get_settings
from worker.sandbox.docker import Engine
from worker.sandbox.protocol import RUNNER, VERSION

DOCKERFILE = Path(__file__).with_name("Dockerfile")
REPOSITORY = "scaffoldry/sandbox"
PROTOCOL_LABEL = "scaffoldry.protocol"


def image_reference() -> str:
    """The image named in the settings, or the one that this version builds."""
    return get_settings().sandbox_image or own_reference()


@lru_cache
def own_reference() -> str:
    """The image this version builds: its tag is the hash of the files that it is built from."""
    digest = hashlib.sha256(DOCKERFILE.read_bytes() + RUNNER.read_bytes()).hexdigest()
    return f"{REPOSITORY}:{digest[:12]}"


def check_image(engine: Engine, reference: str) -> None:
    """Raise SandboxUnavailable unless the engine has that image and it holds a runner that this version can talk to."""
    try:
        image = engine.image(reference)
    except InfraError as error:
        raise SandboxUnavailable(str(error)) from error
    if image is None:
        raise SandboxUnavailable(f"The sandbox image {reference} is not there: make it with `scaffoldry image build`.")
    labels = (image.get("Config") or {}).get("Labels") or {}
    if labels.get(PROTOCOL_LABEL) != VERSION:
        raise SandboxUnavailable(
            f"The image {reference} has no runner that this version of Scaffoldry can talk to: "
            f"build it FROM {own_reference()} (which `scaffoldry image build` makes)."
        )


def image_info(engine: Engine | None = None) -> ImageInfo:
    """The image runs are executed in; without a digest where no engine answers or it is not there."""
    reference = image_reference()
    try:
        image = (engine or Engine()).image(reference)
    except InfraError:
        image = None
    return ImageInfo(reference=reference, digest=image["Id"] if image else None)
