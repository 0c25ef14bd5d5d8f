"""What a container is made of: the engine's create request, as a pure function of what is to be run in it."""

from typing import Any

from shared.models import Labels, Limits, RunRequest, ScaffoldMount
from worker.sandbox.protocol import COMMAND
from worker.sandbox.seccomp import profile_json

USER = "65534:65534"
SCAFFOLD_DIR = "/workspace/scaffold"
GATEWAY_DIR = "/run/scaffoldry"
RUNNER_FILE = "/opt/scaffoldry/runner.pyc"

LABEL_PREFIX = "scaffoldry."
WORKER_LABEL = LABEL_PREFIX + "worker"
MAKER_LABEL = LABEL_PREFIX + "maker"
"""Names the process that has the container; one whose process is gone is a stray."""

SHM_SIZE = 1024**2
"""Python's multiprocessing keeps its semaphores in /dev/shm; more than those does not fit."""

CPU_PERIOD = 100_000
"""Microseconds. (With a quota a run may be given more processors than there are; `NanoCpus` refuses.)"""

MASKED_PATHS = (
    f"{SCAFFOLD_DIR}/metadata.json",  # May hold the prompt that made the scaffold, training answers and all.
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/scsi",
    "/proc/sched_debug",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
"""Shown empty. The engine's own list, which this one replaces, and ours; paths that do not exist do no harm."""


def container_config(
    image: str, scaffold: ScaffoldMount, limits: Limits, labels: Labels, request: RunRequest, maker: str = ""
) -> dict[str, Any]:
    """The body of ``POST /containers/create`` for one run of the process ``maker``."""
    return {
        "Image": image,
        "Entrypoint": ["python3", *COMMAND, RUNNER_FILE, SCAFFOLD_DIR],
        "Cmd": [],
        "WorkingDir": "/tmp",
        "User": USER,
        "Hostname": "scaffold",
        "Env": _environment(request),
        "Labels": _labels(labels, maker),
        "OpenStdin": True,
        "StdinOnce": True,
        "NetworkDisabled": True,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": _host_config(scaffold, limits, request),
    }


def _labels(labels: Labels, maker: str) -> dict[str, str]:
    return {**{LABEL_PREFIX + name: str(value) for name, value in labels.model_dump().items()}, MAKER_LABEL: maker}


def _environment(request: RunRequest) -> list[str]:
    environment = ["HOME=/tmp"]
    if request.gateway_dir is not None:
        environment += [f"SCAFFOLDRY_SOCKET={GATEWAY_DIR}/gateway.sock", f"SCAFFOLDRY_MODEL={request.model}"]
    return environment


def _host_config(scaffold: ScaffoldMount, limits: Limits, request: RunRequest) -> dict[str, Any]:
    return {
        "Mounts": _mounts(scaffold, request),
        "MaskedPaths": list(MASKED_PATHS),
        "ReadonlyRootfs": True,
        "Tmpfs": {
            "/tmp": f"size={limits.tmp_size},mode=1777,nosuid,nodev,noexec",
            "/dev/shm": f"size={SHM_SIZE},mode=1777,nosuid,nodev,noexec",
        },
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges", f"seccomp={profile_json()}"],
        "IpcMode": "none",
        "Init": True,
        "LogConfig": {"Type": "none"},
        "Memory": limits.memory,
        "MemorySwap": limits.memory,
        "CpuPeriod": CPU_PERIOD,
        "CpuQuota": max(1000, int(limits.cpus * CPU_PERIOD)),
        "PidsLimit": limits.pids,
        "OomScoreAdj": 1000,
        "Ulimits": _ulimits(limits),
    }


def _mounts(scaffold: ScaffoldMount, request: RunRequest) -> list[dict[str, Any]]:
    mounts = [_mount(str(scaffold.directory), SCAFFOLD_DIR)]
    if request.gateway_dir is not None:
        mounts.append(_mount(str(request.gateway_dir), GATEWAY_DIR))
    return mounts


def _mount(source: str, target: str) -> dict[str, Any]:
    """A read-only view of one directory, without what else is mounted in it; a missing one is an error."""
    options = {"Propagation": "rprivate", "NonRecursive": True}
    return {"Type": "bind", "Source": source, "Target": target, "ReadOnly": True, "BindOptions": options}


def _ulimits(limits: Limits) -> list[dict[str, Any]]:
    """Per process. No `nproc`: it counts all processes of the user id on the host, other runs' among them."""
    values = {"core": 0, "fsize": limits.tmp_size, "nofile": 1024}
    return [{"Name": name, "Soft": value, "Hard": value} for name, value in values.items()]
