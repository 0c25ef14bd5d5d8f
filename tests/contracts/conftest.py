"""The sandbox image, for the suites that run containers."""

import pytest

from shared.errors import SandboxUnavailable
from worker.sandbox.image import build_image


@pytest.fixture(scope="session")
def sandbox_image() -> str:
    """The image's reference; it is built if need be. Without an engine this fails."""
    try:
        return build_image(print)
    except SandboxUnavailable as error:
        pytest.fail(f"No containers can be run here: {error}")
