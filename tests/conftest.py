"""What all tests share: servers of their own, and settings that no user's environment leaks into."""

import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

settings.register_profile("scaffoldry", deadline=None, max_examples=50)  # machines are shared: time proves nothing
settings.load_profile("scaffoldry")

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
"""GSM8K and HumanEval, where they lie beside the checkout."""


def dataset(published: str, own: str) -> Path:
    """A published dataset where it lies beside the checkout, and else a small one of our own in the same form."""
    return DATA / published if (DATA / published).is_file() else Path(__file__).parent / "data" / own


def free_port(address: str = "127.0.0.1") -> int:
    """A port of that address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

LONGEST = (
    "test_gsm8k.py",
    "test_hosts.py",
    "test_humaneval.py",
    "test_loop.py",
    "test_compose.py",
    "test_bad_input.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that nothing waits for them at the end."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(LONGEST)))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that is skipped has failed: the suite never passes by leaving things out."""
    return _failed_if_skipped((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """So has a whole module that is."""
    return _failed_if_skipped((yield))


def _failed_if_skipped(report: Report) -> Report:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"Nothing may be skipped here: have it fail with what it lacks, or mark it. {reason}"
    return report


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis server of the tests' own, without persistence, on a free port of the loopback address."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.fail("There is no redis-server on this machine; install it with: scripts/redis.sh")
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    process = subprocess.Popen(
        [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for_port(port, process)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def sandbox_image() -> str:
    """The reference of the sandbox image, which is built if need be. Without an engine this fails."""
    from shared.errors import SandboxUnavailable
    from worker.sandbox.image import build_image

    try:
        return build_image(print)
    except SandboxUnavailable as error:
        pytest.fail(f"No containers can be run here: {error}")


def _wait_for_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(100):
        if process.poll() is not None:
            pytest.fail(f"redis-server ended with {process.returncode}.")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail("redis-server did not answer within 5 s.")


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see no SCAFFOLDRY_* variable and no key of the machine they run on, nor the checkout's ``.env``."""
    from shared.settings import Settings, get_settings

    monkeypatch.setitem(Settings.model_config, "env_file", None)
    get_settings.cache_clear()
    for name in list(os.environ):
        if name.startswith("SCAFFOLDRY_") or name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL"):
            monkeypatch.delenv(name)


COMMAND = shlex.join([sys.executable, "-m", "coordinator"])
"""The command as tests run it, and as it names itself where they do."""


def scaffoldry(
    *arguments: str, cwd: Path, timeout: float = 100, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run the command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "coordinator", *arguments],
        cwd=cwd,
        env=command_environment(**environment),
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )


def command_environment(**environment: str) -> dict[str, str]:
    """The environment the command is run with: this one's, with this checkout's packages first."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **environment}
