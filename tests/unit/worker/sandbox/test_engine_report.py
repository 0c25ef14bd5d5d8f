"""What is said about an engine, from what it says about itself."""

import pytest

from worker.sandbox.engine_report import limit_warnings, runc_version, runc_warnings, why_unfit

OLD = "CVE-2024-21626"
NEW = "CVE-2025-31133"


@pytest.mark.parametrize(
    ("version", "holes"),
    [
        ("1.0.3", [OLD, NEW]),
        ("1.1.5+ds1", [OLD, NEW]),
        ("1.1.11", [OLD, NEW]),
        ("1.1.12", [NEW]),
        ("v1.1.15", [NEW]),
        ("1.2.7", [NEW]),
        ("1.2.8", []),
        ("1.3.2", [NEW]),
        ("1.3.3", []),
        ("1.4.0-rc.2", [NEW]),
        ("1.4.0-rc.3", []),
        ("1.4.0", []),
        ("2.0.0", []),
    ],
)
def test_known_holes(version: str, holes: list[str]) -> None:
    warnings = runc_warnings(version)
    assert len(warnings) == len(holes)
    assert all(hole in warning for hole, warning in zip(holes, warnings, strict=True))


def test_a_distributions_version_is_to_be_looked_up() -> None:
    assert all("changelog" in warning for warning in runc_warnings("1.1.5+ds1"))
    assert not any("changelog" in warning for warning in runc_warnings("1.1.5"))


def test_an_unknown_version_is_said_to_be_unknown() -> None:
    (warning,) = runc_warnings("unknown")
    assert "not known" in warning


def test_runc_is_found_among_the_components() -> None:
    assert (
        runc_version({"Components": [{"Name": "Engine", "Version": "28"}, {"Name": "runc", "Version": "1.3.3"}]})
        == "1.3.3"
    )
    assert runc_version({}) == "unknown"


def test_limits_that_are_not_kept() -> None:
    kept = {"MemoryLimit": True, "SwapLimit": True, "PidsLimit": True, "CpuCfsQuota": True}
    assert limit_warnings(kept, ["name=seccomp,profile=default"]) == []
    (warning,) = limit_warnings({**kept, "SwapLimit": False}, ["name=seccomp"])
    assert "swap" in warning
    (warning,) = limit_warnings(kept, [])
    assert "seccomp" in warning


@pytest.mark.parametrize(
    ("os", "api", "is_local", "reason"),
    [
        ("linux", "1.40", True, None),
        ("linux", "1.100", True, None),
        ("linux", "1.39", True, "engine 18.09.9 is too old: it speaks API 1.39"),
        ("linux", "1.x", True, "too old: it speaks API 1.x"),
        ("linux", "1.41", False, "not this host's own"),
        ("windows", "1.41", True, "not this host's own"),
    ],
)
def test_why_no_run_is_started_on_an_engine(os: str, api: str, is_local: bool, reason: str | None) -> None:
    found = why_unfit({"Version": "18.09.9", "Os": os, "ApiVersion": api}, is_local)
    assert found is None if reason is None else reason in str(found)
