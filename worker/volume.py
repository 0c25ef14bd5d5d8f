"""Whether this host's directories are what they should be: the shared volume is there, and the engine sees the same."""

import os
import secrets
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from shared.errors import InfraError, SandboxUnavailable, VolumeUnavailable
from shared.file_manager import ExperimentFileManager
from shared.host_paths import moved
from shared.models import Labels, Limits, RunOutcome, RunRequest, ScaffoldMetadata, ScaffoldMount, ScaffoldResult
from shared.settings import Settings, get_settings, override_settings
from shared.volume import mount_probe_dir
from worker.gateway.http import UnixHttpServer
from worker.gateway.socket_dir import SOCKET_NAME, socket_directory
from worker.sandbox.base import Sandbox

_PROGRAM = """\
import os
import socket


def process_input(input_string):
    try:
        socket.socket(socket.AF_UNIX).connect(os.environ["SCAFFOLDRY_SOCKET"])
    except OSError as error:
        return "no socket: " + str(error)
    return "{token}"
"""
_TIMEOUT = 60.0


def check_data_dir(data_dir: Path) -> None:
    """Raise VolumeUnavailable unless the folder of experiments is there and can be written."""
    if not data_dir.is_dir():
        raise VolumeUnavailable(
            f"The data directory {data_dir} does not exist on this host: mount the shared volume there or make the "
            "directory, or name another with --data-dir or SCAFFOLDRY_DATA_DIR."
        )
    try:
        ExperimentFileManager.check_writable(data_dir)
    except OSError as error:
        raise VolumeUnavailable(
            f"The data directory {data_dir} cannot be written by user {os.getuid()} on this host: {error.strerror}. "
            "Workers commit results there: give the user the right to, or mount the volume for writing."
        ) from None


def use_host_paths(sandbox: Sandbox) -> Settings:
    """This process's settings, from here on with the directories as that sandbox's engine calls them.

    As set, else as the engine shows of this worker's own container; by no other name for a sandbox without an engine.
    """
    settings = get_settings()
    found = {
        "host_data_dir": sandbox.host_directory(settings.data_dir.absolute(), settings.host_data_dir),
        "host_socket_dir": sandbox.host_directory(socket_root(settings), settings.host_socket_dir),
    }
    if all(getattr(settings, name) == value for name, value in found.items()):
        return settings
    return override_settings(**found)


def socket_root(settings: Settings) -> Path:
    """The folder that gateway sockets are made in."""
    return (settings.socket_dir or Path(tempfile.gettempdir())).absolute()


def docker_gateway_dir(directory: Path) -> Path:
    """A gateway's directory as the engine's host has it."""
    settings = get_settings()
    return moved(directory, socket_root(settings), settings.host_socket_dir)


def check_mounts(sandbox: Sandbox, worker: str, pid: int | None = None) -> None:
    """Have a container read a token through the mount of the data directory, and call through that of the sockets.

    ``pid``: of this process, where others of the worker may do this at the same time.
    Raises VolumeUnavailable, which names the directory that the engine does not have and the variable to set, and
    SandboxUnavailable where no container can be run at all.
    """
    if not sandbox.has_engine:
        return
    token = secrets.token_hex(16)
    files = ExperimentFileManager(mount_probe_dir(get_settings().data_dir, worker, pid))
    try:
        metadata = ScaffoldMetadata(created_at=datetime.now(UTC), source="probe")
        files.save_scaffold("0", ScaffoldResult(code=_PROGRAM.format(token=token), metadata=metadata))
        mount = ScaffoldMount(scaffold_id="0", directory=files.get_docker_scaffold_dir("0"))
        outcome = _run(sandbox, mount, worker)
    finally:
        with suppress(FileNotFoundError):  # it could not even be made, and that is what is to be told
            files.discard()
    if outcome.output == token:
        return
    if (outcome.output or "").startswith("no socket: "):
        raise _not_shared_sockets((outcome.output or "").removeprefix("no socket: "))
    raise _not_shared_data(outcome.error_message or "it holds another token")


def _run(sandbox: Sandbox, mount: ScaffoldMount, worker: str) -> RunOutcome:
    with socket_directory(get_settings().socket_dir) as local:
        server = UnixHttpServer(local / SOCKET_NAME, lambda *_: (200, {}))
        gateway_dir = docker_gateway_dir(local)
        try:
            with sandbox.open(mount, Limits(timeout=_TIMEOUT), Labels(job="probe", worker=worker)) as session:
                return session.run(RunRequest(input_string="", gateway_dir=gateway_dir))
        except InfraError as error:
            # The engine says which path it does not have, in words that vary with its version.
            if str(gateway_dir) in str(error):
                raise _not_shared_sockets("there is no such path") from None
            if str(mount.directory) in str(error):
                raise _not_shared_data("there is no such path") from None
            raise SandboxUnavailable(f"A container could not be run: {error}") from None
        finally:
            server.close()
            sandbox.settle()


def _not_shared_data(reason: str) -> VolumeUnavailable:
    settings = get_settings()
    return _not_shared("data directory", settings.data_dir.absolute(), settings.host_data_dir, "DATA", reason)


def _not_shared_sockets(reason: str) -> VolumeUnavailable:
    settings = get_settings()
    return _not_shared("folder of sockets", socket_root(settings), settings.host_socket_dir, "SOCKET", reason)


def _not_shared(what: str, local: Path, host: Path | None, variable: str, reason: str) -> VolumeUnavailable:
    return VolumeUnavailable(
        f"The Docker engine does not see this worker's {what}: what lies in {local} here does not lie in "
        f"{host or local} on the engine's host ({reason}). Set SCAFFOLDRY_HOST_{variable}_DIR to the path that {local} "
        f"has there, or SCAFFOLDRY_{variable}_DIR to a directory that both see."
    )
