"""Every line of the baseline stands in the create request."""

from pathlib import Path
from typing import Any

import pytest

from shared.models import Labels, Limits, RunRequest, ScaffoldMount
from worker.sandbox.container_config import container_config

LIMITS = Limits(memory="100m", cpus=0.5, pids=50, tmp_size="10m")
LABELS = Labels(experiment="e", job="e/0/1/train_0", attempt=2, worker="w")


def config(**request: Any) -> dict[str, Any]:
    scaffold = ScaffoldMount(scaffold_id="1", directory=Path("/data/scaffolds/1"))
    asked = RunRequest(input_string="secret input", **request)
    return container_config("image:1", scaffold, LIMITS, LABELS, asked, maker="7.1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CapDrop", ["ALL"]),
        ("ReadonlyRootfs", True),
        ("IpcMode", "none"),
        ("Init", True),
        ("LogConfig", {"Type": "none"}),
        ("Memory", 100 * 1024**2),
        ("MemorySwap", 100 * 1024**2),
        ("CpuQuota", 50_000),
        ("CpuPeriod", 100_000),
        ("PidsLimit", 50),
        ("OomScoreAdj", 1000),
        (
            "Ulimits",
            [
                {"Name": "core", "Soft": 0, "Hard": 0},
                {"Name": "fsize", "Soft": 10 * 1024**2, "Hard": 10 * 1024**2},
                {"Name": "nofile", "Soft": 1024, "Hard": 1024},
            ],
        ),
    ],
)
def test_the_host_config_has(name: str, value: object) -> None:
    assert config()["HostConfig"][name] == value


def test_what_is_not_the_hosts_affair() -> None:
    made = config()
    assert made["User"] == "65534:65534"
    assert made["NetworkDisabled"] is True
    assert made["Hostname"] == "scaffold"
    assert made["HostConfig"]["SecurityOpt"][0] == "no-new-privileges"
    assert made["HostConfig"]["SecurityOpt"][1].startswith('seccomp={"defaultAction":"SCMP_ACT_ERRNO"')
    assert "Privileged" not in made["HostConfig"] and "Binds" not in made["HostConfig"]


def test_scratch_space_is_bounded_and_runs_nothing() -> None:
    for options in config()["HostConfig"]["Tmpfs"].values():
        assert {"nosuid", "nodev", "noexec"} <= set(options.split(","))
    assert "size=10485760" in config()["HostConfig"]["Tmpfs"]["/tmp"]


def test_labels_say_whose_it_is() -> None:
    assert config()["Labels"] == {
        "scaffoldry.experiment": "e",
        "scaffoldry.job": "e/0/1/train_0",
        "scaffoldry.attempt": "2",
        "scaffoldry.worker": "w",
        "scaffoldry.maker": "7.1",
    }


def test_without_a_gateway_only_the_scaffold_is_mounted() -> None:
    made = config()
    (mount,) = made["HostConfig"]["Mounts"]
    assert (mount["Source"], mount["Target"]) == ("/data/scaffolds/1", "/workspace/scaffold")
    assert mount["ReadOnly"] is True and mount["Type"] == "bind"
    assert mount["BindOptions"] == {"Propagation": "rprivate", "NonRecursive": True}
    assert made["Env"] == ["HOME=/tmp"]


def test_with_a_gateway_its_directory_is_mounted_too() -> None:
    made = config(gateway_dir=Path("/run/x"), model="sim/echo")
    assert [mount["Target"] for mount in made["HostConfig"]["Mounts"]] == ["/workspace/scaffold", "/run/scaffoldry"]
    assert all(mount["ReadOnly"] for mount in made["HostConfig"]["Mounts"])
    assert made["Env"][1:] == ["SCAFFOLDRY_SOCKET=/run/scaffoldry/gateway.sock", "SCAFFOLDRY_MODEL=sim/echo"]


def test_the_input_stands_nowhere() -> None:
    assert "secret input" not in repr(config())
