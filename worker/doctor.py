"""What ``scaffoldry doctor`` asks of a machine: its Docker engine, the sandbox image, the models and their keys."""

import threading
from collections.abc import Iterator

from shared.errors import ScaffoldryError
from shared.models import Finding
from worker.gateway.models_cli import list_models
from worker.sandbox.engine_report import EngineReport, engine_report

_INSTALL = "Install Docker and start its engine (as root: apt-get install docker.io), or let this user use it."
_OWN = "Have an engine 19.03 or later of this host's own, and DOCKER_HOST unset."
_UPDATE = "Update the packages runc and docker, or read their changelogs for the numbers above."


def checks_within(seconds: float, sandbox: str) -> list[Finding]:
    """The findings of ``checks``, or one that says that they took longer than that: an engine may answer nothing."""
    found: list[Finding] = []
    thread = threading.Thread(target=lambda: found.extend(checks(sandbox)), name="doctor", daemon=True)
    thread.start()
    thread.join(seconds)
    late = f"its engine or its models could not be looked at within {seconds:g} s"
    return list(found) or [Finding(check="docker", ok=False, detail=late, fix="Start its engine anew.")]


def checks(sandbox: str = "docker") -> list[Finding]:
    """All findings about this machine, in the order in which they matter; of Docker only where that is the sandbox."""
    if sandbox != "docker":
        return list(_model_findings())
    try:
        report = engine_report()
    except ScaffoldryError as error:
        docker = [Finding(check="docker", ok=False, detail=str(error), fix=_INSTALL)]
    else:
        docker = list(_engine_findings(report))
    return [*docker, *_model_findings()]


def _engine_findings(report: EngineReport) -> Iterator[Finding]:
    engine = f"engine {report.engine_version}, API {report.api_version}, cgroups v{report.cgroup_version}"
    kind = "rootless" if report.rootless else "as root"
    if report.unfit is not None:
        yield Finding(check="docker", ok=False, detail=report.unfit, fix=_OWN)
    else:
        yield Finding(check="docker", ok=True, detail=f"{engine}, runc {report.runc_version}, {kind}")
    for warning in report.warnings:
        yield Finding(check="docker", ok=None, detail=warning, fix=_UPDATE)
    if report.image_is_there:
        yield Finding(check="image", ok=True, detail=f"{report.image} ({report.image_digest})")
    else:
        detail = f"{report.image} is not there"
        yield Finding(check="image", ok=False, detail=detail, fix="Build it: scaffoldry image build")


def _model_findings() -> Iterator[Finding]:
    for model in list_models():
        if model.state == "ready":
            yield Finding(check=f"model {model.name}", ok=True, detail=model.detail or model.state)
        else:
            yield Finding(check=f"model {model.name}", ok=None, detail=model.state, fix=model.detail)
