"""What ``scaffoldry doctor`` asks of this machine: its Docker engine, the sandbox image, the models and their keys."""

from collections.abc import Iterator

from shared.errors import ScaffoldryError
from shared.models import Finding
from worker.gateway.models_cli import list_models
from worker.sandbox.engine_report import EngineReport, engine_report

_INSTALL = "Install Docker and start its engine (as root: apt-get install docker.io), or let this user use it."
_UPDATE = "Update the packages runc and docker, or read their changelogs for the numbers above."


def checks() -> list[Finding]:
    """All findings about this machine, in the order in which they matter."""
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
