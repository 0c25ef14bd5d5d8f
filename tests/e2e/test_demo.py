"""The first impression: `make demo`, with a model that needs no weights."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, command_environment
from tests.e2e.conftest import means_by_hand, only_experiment, result_files

pytestmark = [pytest.mark.docker]

NAMES = {"0": "direct", "1": "sentence", "2": "vote"}


def make(*arguments: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run this checkout's make as a user does, who has not come from another make; `.venv` is taken as it is."""
    inherited = {name: "" for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL") if name in os.environ}
    return subprocess.run(
        ["make", "--no-print-directory", "-C", str(ROOT), "-o", ".venv/.stamp", *arguments],
        cwd=cwd,
        env=command_environment(**environment, **inherited),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_from_nothing_to_its_table(tmp_path: Path, sandbox_image: str) -> None:
    data_dir, cwd = tmp_path / "experiments", tmp_path / "cwd"
    cwd.mkdir()
    places = {"SCAFFOLDRY_DATA_DIR": str(data_dir), "SCAFFOLDRY_CACHE_DIR": str(tmp_path / "cache")}
    done = make("demo", "MODEL=sim/arithmetic", cwd=cwd, **places)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and list(cwd.iterdir()) == []
    experiment = only_experiment(data_dir)

    results = [json.loads(path.read_text()) for path in result_files(experiment)]
    assert {(one["scaffold_id"], one["run_type"]) for one in results} == {
        (scaffold, f"valid_{number}") for scaffold in NAMES for number in range(20)
    }
    assert len(results) == 60 and {one["status"] for one in results} == {"ok"}
    assert json.loads((experiment / "metadata.json").read_text())["spec"]["executor"]["model"] == "sim/arithmetic"

    rows = re.findall(r"^(\d) +(\w+) +20 +([\d.]+) .* to ", done.stdout, re.M)
    means = means_by_hand(experiment)["valid"]
    assert {id: (name, mean) for id, name, mean in rows} == {
        id: (name, f"{means[id]:.3f}") for id, name in NAMES.items()
    }
    assert f"Experiment: {experiment}\n" in done.stderr
    tries = re.findall(rf"^  \S+ (\w+) {re.escape(str(experiment))}(?: (\d) valid_\d+)?  +\S", done.stderr, re.M)
    assert [verb for verb, _ in tries] == ["ls", "show", "logs", "resume"]
    assert [scaffold in NAMES for _, scaffold in tries] == [False, True, True, False]
