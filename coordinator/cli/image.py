"""``image``: the image that scaffolds run in."""

from coordinator.cli.options import AsJson


def image_build() -> int:
    """Build the sandbox image unless it is there."""
    from coordinator.worker_tools import call_worker

    return call_worker("image", "build").returncode


def image_info(as_json: AsJson = False) -> int:
    """Show the sandbox image's name and digest."""
    from coordinator.worker_tools import call_worker

    return call_worker("image", "info", *(["--json"] if as_json else [])).returncode
