"""What is said of a machine's engine."""

import pytest

from shared.errors import SandboxUnavailable
from shared.models import Finding
from worker import doctor
from worker.sandbox.engine_report import EngineReport

REPORT = EngineReport(
    engine_version="18.09.9",
    api_version="1.39",
    cgroup_version="1",
    runc_version="1.3.3",
    rootless=False,
    seccomp=True,
    image="scaffoldry/sandbox:1",
    image_digest="sha256:1",
    unfit=None,
    warnings=(),
)


def test_an_engine_that_no_run_is_started_on_is_no_good_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "list_models", tuple)
    for unfit, ok in ((None, True), ("The Docker engine 18.09.9 is too old.", False)):
        report = REPORT.model_copy(update={"unfit": unfit})
        monkeypatch.setattr(doctor, "engine_report", lambda report=report: report)
        docker, image = doctor.checks()
        assert (docker.check, docker.ok, image.ok) == ("docker", ok, True)
        assert docker.detail.startswith(unfit or "engine 18.09.9, API 1.39")
        assert ok or "19.03" in (docker.fix or "")


def findings(monkeypatch: pytest.MonkeyPatch, **fields: object) -> tuple[Finding, ...]:
    """What is said of an engine with that in its report."""
    report = REPORT.model_copy(update=fields)
    monkeypatch.setattr(doctor, "list_models", tuple)
    monkeypatch.setattr(doctor, "engine_report", lambda: report)
    return tuple(doctor.checks())


def test_a_good_engine_and_its_image_are_described(monkeypatch: pytest.MonkeyPatch) -> None:
    docker, image = findings(monkeypatch)
    assert docker == Finding(
        check="docker", ok=True, detail="engine 18.09.9, API 1.39, cgroups v1, runc 1.3.3, as root", fix=None
    )
    assert image == Finding(check="image", ok=True, detail="scaffoldry/sandbox:1 (sha256:1)", fix=None)
    assert findings(monkeypatch, rootless=True)[0].detail.endswith("runc 1.3.3, rootless")


def test_an_image_that_is_missing_is_a_failure_with_the_command_that_builds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    docker, image = findings(monkeypatch, image_digest=None)
    assert docker.ok
    assert (image.check, image.ok, image.detail) == ("image", False, "scaffoldry/sandbox:1 is not there")
    assert "scaffoldry image build" in (image.fix or "")


def test_each_warning_is_told_with_its_fix_and_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    said = ("runc 1.1.5 has the known hole CVE-2024-21626.", "The engine has no seccomp.")
    docker, *warned, image = findings(monkeypatch, warnings=said)
    assert docker.ok and image.ok
    assert [(one.check, one.ok, one.detail) for one in warned] == [("docker", None, each) for each in said]
    assert all("Update the packages runc and docker" in (one.fix or "") for one in warned)


def test_an_engine_that_does_not_answer_is_a_failure_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent() -> EngineReport:
        raise SandboxUnavailable("No engine answers.")

    monkeypatch.setattr(doctor, "list_models", tuple)
    monkeypatch.setattr(doctor, "engine_report", silent)
    (docker,) = doctor.checks()
    assert (docker.check, docker.ok, docker.detail) == ("docker", False, "No engine answers.")
    assert "Install Docker and start its engine" in (docker.fix or "")
