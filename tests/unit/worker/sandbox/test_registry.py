"""Sandboxes by name."""

import pytest

from shared.errors import UnknownName
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.fake import FakeSandbox
from worker.sandbox.process import ProcessSandbox
from worker.sandbox.registry import build_sandbox


@pytest.mark.parametrize(
    ("name", "kind"), [("docker", DockerSandbox), ("process", ProcessSandbox), ("fake", FakeSandbox)]
)
def test_each_name_has_its_sandbox(name: str, kind: type) -> None:
    sandbox = build_sandbox(name)
    assert type(sandbox) is kind
    assert sandbox.name == name


def test_another_name_says_which_there_are() -> None:
    with pytest.raises(UnknownName, match=r"'dokcer'; did you mean 'docker'\? Known: docker, fake, process\."):
        build_sandbox("dokcer")
