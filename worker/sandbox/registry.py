"""The sandboxes there are."""

from shared.registry import Registry
from worker.sandbox.base import Sandbox

SANDBOXES = Registry(
    "sandbox",
    {
        "docker": "worker.sandbox.docker_sandbox:DockerSandbox",
        "process": "worker.sandbox.process:ProcessSandbox",
        "fake": "worker.sandbox.fake:FakeSandbox",
    },
)


def build_sandbox(name: str) -> Sandbox:
    """The sandbox of that name; raises UnknownName, which says which there are."""
    sandbox: Sandbox = SANDBOXES.get(name)()
    return sandbox
