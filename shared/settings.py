"""The only reader of the environment. Every setting is a ``SCAFFOLDRY_*`` variable or a line of ``.env``."""

import os
import socket
from functools import lru_cache
from pathlib import Path

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import UsageError


class Settings(BaseSettings):
    """Scaffoldry's settings on this host."""

    # A variable that is set to nothing is not set: compose files pass on what may be missing in that way.
    model_config = SettingsConfigDict(
        env_prefix="SCAFFOLDRY_", env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    broker_url: str | None = None
    """Redis URL; None: each ``run`` brings a worker of its own, and no server is needed."""
    broker_ca: Path | None = None
    """The certificate authority that a ``rediss://`` broker's certificate is checked against; None: the system's."""
    visibility_timeout: float = Field(default=24 * 3600.0, ge=1.0)
    """Seconds after which Redis hands out a job again that was taken and not answered. The smallest value of all who
    use the broker holds. A run that is still under way then is not made twice."""
    data_dir: Path = Path("experiments")
    """The folder that holds the experiments, on the volume all hosts share."""
    host_data_dir: Path | None = None
    """``data_dir`` as the Docker engine's host calls it; None: the same path, or found out by the worker."""
    cache_dir: Path = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "scaffoldry"
    """Model weights, logs of local servers and the like; this host's own."""
    socket_dir: Path | None = None
    """Where gateway sockets are made; None: the system's /tmp."""
    host_socket_dir: Path | None = None
    """``socket_dir`` as the Docker engine's host calls it; None: the same path, or found out by the worker."""
    concurrency: int = Field(default=2 * (os.cpu_count() or 1), ge=1, le=1024)
    """Runs at once in one worker; twice the processors, because runs wait for their model most of the time."""
    local_threads: int = Field(default=max(1, (os.cpu_count() or 1) // 2), ge=1, le=1024)
    """Threads of a local model, on all runs' behalf. Its threads wait for each other many times for each token, so that
    one which shares its processor with a container slows them all: half the processors are left to the runs."""
    worker_name: str = Field(default_factory=socket.gethostname)
    sandbox: str = "docker"
    """The one sandbox that a worker runs scaffolds in, whatever an experiment asks for."""
    sandbox_image: str | None = None
    """Image to run scaffolds in; None: the one built from this version's files."""
    log_level: str = "warning"
    debug: bool = False
    """Show the traceback of an error that should not happen."""
    command: str | None = None
    """What users type to start ``scaffoldry``, for the commands that are printed; None: it is found out."""
    openai_base_url: str | None = None
    anthropic_base_url: str | None = None
    flower_url: str | None = None
    """Where users find Flower, for the links that are printed."""
    flower_user: str = "scaffoldry"
    """Who logs in at Flower's page ..."""
    flower_login: SecretStr | None = None
    """... and with which password."""
    flower_no_login: bool = False
    """Let everyone see Flower's page who reaches it."""
    metrics_address: str = "127.0.0.1"
    """Where `--metrics-port` listens."""


_overrides: list[Settings] = []


@lru_cache
def get_settings() -> Settings:
    """This process's settings; raises UsageError with the variable's name where one is no good."""
    if _overrides:
        return _overrides[-1]
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        variable = "SCAFFOLDRY_" + "_".join(str(part) for part in first["loc"]).upper()
        raise UsageError(f"The setting {variable} is not usable: {first['msg']}.") from None
    return settings.model_copy(update={"cache_dir": settings.cache_dir.expanduser()})


def secret(variable: str) -> SecretStr | None:
    """The value of an environment variable or ``.env`` line that holds a key; None where it is not set or empty."""
    value = os.environ.get(variable) or dotenv_values(".env").get(variable)
    return SecretStr(value) if value else None


def child_environment(**overrides: str) -> dict[str, str]:
    """This process's environment for a child process of ours, with some variables set."""
    return {**os.environ, **overrides}


def override_settings(**values: object) -> Settings:
    """This process's settings with some changed from here on, also in its children by fork."""
    changed = get_settings().model_copy(update=values)
    get_settings.cache_clear()
    _overrides.append(changed)
    return get_settings()
