"""Containers come and go with their runs, also when the worker is torn away; and the image they are made of."""

import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.errors import HostTrouble, InfraError, SandboxUnavailable
from shared.models import Labels, Limits, RunRequest, ScaffoldMount, Status
from shared.settings import get_settings
from worker.sandbox import docker_sandbox
from worker.sandbox.container_config import WORKER_LABEL
from worker.sandbox.docker import Engine
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.engine_report import engine_report
from worker.sandbox.image import build_image, image_info, image_reference

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]

RUN_AND_BE_KILLED = """
import signal, sys
from pathlib import Path
from shared.models import Labels, Limits, RunRequest, ScaffoldMount
from worker.sandbox.docker_sandbox import DockerSandbox
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # As a worker's child does.
mount = ScaffoldMount(scaffold_id="0", directory=Path(sys.argv[1]))
with DockerSandbox().open(mount, Limits(timeout=100), Labels(worker=sys.argv[2])) as session:
    session.run(RunRequest(input_string=""), lambda text: print(text, flush=True))
"""


@pytest.fixture
def scaffold(tmp_path: Path, sandbox_image: str) -> ScaffoldMount:
    for each in (tmp_path.parent.parent, tmp_path.parent, tmp_path):
        each.chmod(0o755)
    (tmp_path / "scaffold.py").write_text("import time\ndef process_input(text):\n print('up')\n time.sleep(90)\n")
    return ScaffoldMount(scaffold_id="0", directory=tmp_path)


@pytest.fixture
def worker(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a worker of this test's own; its containers are removed at the end."""
    name = f"lifecycle-{os.getpid()}-{request.node.name}"
    yield name
    for container in Engine().find(WORKER_LABEL, name):
        Engine().remove(container)


def start_and_wait_until_up(scaffold: ScaffoldMount, worker: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", RUN_AND_BE_KILLED, str(scaffold.directory), worker],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def test_a_terminated_worker_leaves_no_container(scaffold: ScaffoldMount, worker: str) -> None:
    process = start_and_wait_until_up(scaffold, worker)
    with process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
    assert Engine().find(WORKER_LABEL, worker) == []


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.2, 0.3])
def test_terminated_at_any_moment(scaffold: ScaffoldMount, worker: str, delay: float) -> None:
    """From the making of the container to the program's first words."""
    source = RUN_AND_BE_KILLED.replace("with Docker", "print('go', flush=True)\nwith Docker")
    process = subprocess.Popen(
        [sys.executable, "-c", source, str(scaffold.directory), worker], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        time.sleep(delay)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
    assert Engine().find(WORKER_LABEL, worker) == []


def test_what_a_killed_worker_leaves_ends_and_is_reaped(scaffold: ScaffoldMount, worker: str) -> None:
    process = start_and_wait_until_up(scaffold, worker)
    with process:
        assert DockerSandbox().reap(worker) == 0, "it is at work"
        process.kill()
    (container,) = Engine().find(WORKER_LABEL, worker)
    assert Engine().wait(container, 30) == 1, "nobody waits for its answer"
    assert DockerSandbox().reap("another worker") == DockerSandbox().reap("another worker", own=True) == 0
    assert DockerSandbox().reap(worker) == 1
    assert Engine().find(WORKER_LABEL, worker) == []


@pytest.mark.parametrize("command", [["kill"], ["kill", "--signal", "TERM"], ["stop"], ["rm", "--force"]])
def test_a_container_ended_by_others_is_our_trouble(scaffold: ScaffoldMount, worker: str, command: list[str]) -> None:
    def end(text: str) -> None:
        subprocess.run(
            ["docker", *command, *Engine().find(WORKER_LABEL, worker)], check=True, stdout=subprocess.DEVNULL
        )

    with (
        DockerSandbox().open(scaffold, Limits(timeout=30), Labels(worker=worker)) as session,
        pytest.raises(HostTrouble, match=r"killed from outside|No such container"),
    ):
        session.run(RunRequest(input_string=""), end)


@pytest.mark.parametrize(
    "end", ["os.kill(os.getpid(), 9)", "os.kill(os.getpid(), 15)", "os.kill(os.getppid(), 9); os.kill(-1, 9)"]
)
def test_a_container_that_its_program_ends_is_the_programs_doing(
    scaffold: ScaffoldMount, worker: str, end: str
) -> None:
    """Though its exit code may be that of one killed by others."""
    (scaffold.directory / "scaffold.py").write_text(f"import os\ndef process_input(text):\n    {end}\n")
    with DockerSandbox().open(scaffold, Limits(timeout=30), Labels(worker=worker)) as session:
        assert session.run(RunRequest(input_string="")).status is Status.SCAFFOLD_ERROR


def test_a_missing_scaffold_makes_no_directory(tmp_path: Path, worker: str, sandbox_image: str) -> None:
    mount = ScaffoldMount(scaffold_id="0", directory=tmp_path / "missing")
    with (
        DockerSandbox().open(mount, Limits(), Labels(worker=worker)) as session,
        pytest.raises(InfraError, match="missing"),
    ):
        session.run(RunRequest(input_string=""))
    assert not mount.directory.exists()
    assert Engine().find(WORKER_LABEL, worker) == []


def test_no_engine(monkeypatch: pytest.MonkeyPatch, scaffold: ScaffoldMount) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(SandboxUnavailable, match="The Docker engine could not answer"):
        DockerSandbox().check()
    with pytest.raises(SandboxUnavailable, match="The Docker engine could not answer"):
        build_image(print)
    with (
        DockerSandbox().open(scaffold, Limits(), Labels()) as session,
        pytest.raises(InfraError, match="could not answer"),
    ):
        session.run(RunRequest(input_string=""))
    assert image_info().digest is None


def test_an_image_that_is_there_is_not_built_again(sandbox_image: str) -> None:
    said: list[str] = []
    before = image_info()
    assert build_image(said.append) == sandbox_image == before.reference
    assert said == [f"The sandbox image {sandbox_image} is there."]
    assert image_info() == before
    assert str(before.digest).startswith("sha256:")


@pytest.fixture
def named_image(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Settings that name an image; they are read anew."""
    get_settings.cache_clear()
    yield monkeypatch
    get_settings.cache_clear()


def test_an_image_of_the_users_must_be_there(named_image: pytest.MonkeyPatch, sandbox_image: str) -> None:
    named_image.setenv("SCAFFOLDRY_SANDBOX_IMAGE", "scaffoldry/not-there:1")
    assert image_reference() == "scaffoldry/not-there:1"
    with pytest.raises(SandboxUnavailable, match="not-there:1"):
        DockerSandbox().check()


def test_an_image_without_the_runner_is_refused(named_image: pytest.MonkeyPatch, scaffold: ScaffoldMount) -> None:
    """And where nobody checked, the failure is not held against the program."""
    with image_without_runner(Engine()) as reference:
        named_image.setenv("SCAFFOLDRY_SANDBOX_IMAGE", reference)
        with pytest.raises(SandboxUnavailable, match="build it FROM"):
            DockerSandbox().check()
        with (
            DockerSandbox().open(scaffold, Limits(), Labels()) as session,
            pytest.raises(InfraError, match=r"could not start|did not start"),
        ):
            session.run(RunRequest(input_string=""))


@contextmanager
def image_without_runner(engine: Engine) -> Iterator[str]:
    """An image that holds one empty file."""
    reference = "scaffoldry/test-without-runner:1"
    source, sink = os.pipe()
    with os.fdopen(sink, "wb") as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
        tar.addfile(tarfile.TarInfo("empty"))  # So small that the pipe holds it all.
    with os.fdopen(source, "rb") as stream:
        engine.import_tree(stream, *reference.split(":"))
    try:
        yield reference
    finally:
        engine.remove_image(reference)


def test_the_report_says_what_the_engine_says(sandbox_image: str) -> None:
    report = engine_report()
    assert report.engine_version and report.runc_version != "unknown"
    assert report.cgroup_version in ("1", "2")
    assert report.image == sandbox_image and report.image_is_there


def test_a_killed_container_that_does_not_end_is_our_trouble(
    scaffold: ScaffoldMount, worker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_sandbox, "KILL_TIMEOUT", 1)
    monkeypatch.setattr(Engine, "kill", lambda *_: None)
    with (
        DockerSandbox().open(scaffold, Limits(timeout=30, output_limit=1024), Labels(worker=worker)) as session,
        pytest.raises(InfraError, match="has not ended"),
    ):
        # It stands still before a word of it is heard, or it might end by itself once nobody listens any more.
        (scaffold.directory / "scaffold.py").write_text(
            "import os, time\ndef process_input(text):\n runner = os.getpid()\n if os.fork() == 0:\n"
            "  os.kill(runner, 19)\n  os.write(2, b'x' * 5000)\n time.sleep(90)\n"
        )
        session.run(RunRequest(input_string=""))
    assert Engine().find(WORKER_LABEL, worker) == []


def test_labels_lead_to_the_container(scaffold: ScaffoldMount, worker: str) -> None:
    found: list[list[str]] = []
    labels = Labels(experiment="e", job="e/0/0/train_0", attempt=3, worker=worker)
    with DockerSandbox().open(scaffold, Limits(timeout=0.5), labels) as session:
        outcome = session.run(
            RunRequest(input_string=""),
            lambda text: found.extend(
                Engine().find(f"scaffoldry.{name}", str(value)) for name, value in labels.model_dump().items()
            ),
        )
    assert outcome.status is Status.TIMEOUT
    assert len(found) == 4 and all(found)
