"""What kind of engine this is, whether runs may be started on it, and what else is to be said about it."""

import re
from collections.abc import Mapping
from typing import Any

from shared.errors import InfraError, SandboxUnavailable
from shared.models.base import Frozen
from worker.sandbox.docker import Engine
from worker.sandbox.image import image_info, image_reference

OLDEST_API = (1, 40)
"""Engine 19.03: the first that heeds `NonRecursive`. An older one would mount what lies below a scaffold, unasked."""
RUNC_FIXES: Mapping[str, tuple[tuple[int, int, int], ...]] = {
    "CVE-2024-21626": ((1, 1, 12),),
    "CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881": ((1, 2, 8), (1, 3, 3), (1, 4, 0)),
}
"""Holes through which a container gets out, and the first good version of each series."""


class EngineReport(Frozen):
    """What the engine says of itself. ``warnings`` are sentences."""

    engine_version: str
    api_version: str
    cgroup_version: str
    runc_version: str
    rootless: bool
    seccomp: bool
    image: str
    image_digest: str | None
    """None: the image is not there."""
    unfit: str | None
    """Why no run is started on this engine, in a sentence."""
    warnings: tuple[str, ...]

    @property
    def image_is_there(self) -> bool:
        """Whether runs can be started."""
        return self.image_digest is not None


def engine_report(engine: Engine | None = None) -> EngineReport:
    """Ask the engine; raises SandboxUnavailable where it does not answer."""
    engine = engine or Engine()
    try:
        version, info = engine.version(), engine.info()
    except InfraError as error:
        raise SandboxUnavailable(str(error)) from error
    options = [str(option) for option in info.get("SecurityOptions") or ()]
    runc = runc_version(version)
    return EngineReport(
        engine_version=str(version.get("Version", "unknown")),
        api_version=str(version.get("ApiVersion", "unknown")),
        cgroup_version=str(info.get("CgroupVersion", "unknown")),
        runc_version=runc,
        rootless=any("rootless" in option for option in options),
        seccomp=any("seccomp" in option for option in options),
        image=image_reference(),
        image_digest=image_info(engine).digest,
        unfit=why_unfit(version, engine.is_local),
        warnings=(*runc_warnings(runc), *limit_warnings(info, options)),
    )


def why_unfit(version: Mapping[str, Any], is_local: bool) -> str | None:
    """Why no run is started on an engine that answers ``GET /version`` with that; None where runs are."""
    if version.get("Os") != "linux" or not is_local:
        return "The Docker engine is not this host's own, so it does not see its directories: unset DOCKER_HOST."
    spoken = str(version.get("ApiVersion", "unknown"))
    match = re.fullmatch(r"(\d+)\.(\d+)", spoken)
    if match is not None and (int(match[1]), int(match[2])) >= OLDEST_API:
        return None
    return (
        f"The Docker engine {version.get('Version', 'of unknown version')} is too old: it speaks API {spoken}, and "
        f"scaffolds are confined with what API {OLDEST_API[0]}.{OLDEST_API[1]} (engine 19.03) brought. Update it."
    )


def runc_version(version: Mapping[str, Any]) -> str:
    """runc's version in the answer of ``GET /version``."""
    for part in version.get("Components") or ():
        if part.get("Name") == "runc":
            return str(part.get("Version", "unknown"))
    return "unknown"


def runc_warnings(version: str) -> list[str]:
    """A sentence for each known hole of that version; distributions mend holes without raising the number."""
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)(?:-rc\.?(\d+))?(.*)", version)
    if not match:
        return [f"The version of runc ({version}) is not known, nor whether it has known holes."]
    number = (int(match[1]), int(match[2]), int(match[3]))
    candidate = int(match[4]) if match[4] else None
    advice = (
        "check the changelog of its package, which may have mended it without a new number"
        if match[5]
        else "update runc"
    )
    return [
        f"runc {version} has the known hole {hole} unless its distribution mended it: {advice}."
        for hole, fixes in RUNC_FIXES.items()
        if not _is_fixed(number, candidate, fixes)
    ]


def _is_fixed(number: tuple[int, int, int], candidate: int | None, fixes: tuple[tuple[int, int, int], ...]) -> bool:
    if candidate is not None and number in fixes:
        return candidate >= 3  # 1.4.0's were mended in its third release candidate.
    series = [fix for fix in fixes if fix[:2] == number[:2]]
    return number >= series[0] if series else number > max(fixes)


def limit_warnings(info: Mapping[str, Any], options: list[str]) -> list[str]:
    """A sentence for each limit that this engine or kernel does not keep."""
    warnings = [
        f"The kernel or engine does not limit {what}, and a run may take more than it is given."
        for key, what in (
            ("MemoryLimit", "memory"),
            ("SwapLimit", "swap"),
            ("PidsLimit", "the number of processes"),
            ("CpuCfsQuota", "processors"),
        )
        if info.get(key) is False
    ]
    if not any("seccomp" in option for option in options):
        warnings.append("The engine has no seccomp: scaffolds may make any system call.")
    return warnings
