"""The coordinator's metrics, read off the page of a real run."""

import re
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.conftest import command_environment
from tests.e2e.conftest import only_experiment, wait_until, write_experiment

WAITS_FOR_THE_LAST = """
import pathlib, time

def process_input(input_string):
    while input_string == "5" and not pathlib.Path({gate!r}).exists():
        time.sleep(0.02)
    return input_string
"""


def test_the_metrics_of_a_run_under_way(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    examples: list[dict[str, object]] = [{"input": str(n), "answer": str(n % 4)} for n in range(6)]
    code = WAITS_FOR_THE_LAST.format(gate=str(gate))
    spec = write_experiment(tmp_path / "spec", {"echo": code}, examples, sandbox="process")
    command = [sys.executable, "-m", "coordinator", "run", str(spec), "--metrics-port", "0", "--data-dir", "data"]
    environment = command_environment(SCAFFOLDRY_CONCURRENCY="2")
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            (url,) = re.findall(
                r"^Metrics: (http://127\.0\.0\.1:\d+/metrics)$", process.stderr.readline(), re.MULTILINE
            )
            wait_until(lambda: _page(url).get('runs_total{status="ok"}') == 5, 60, "all runs but one are counted")
            page = _page(url)
            assert page["jobs_outstanding"] == 1 and page["quarantined_total"] == 0
            assert 'best_score{split="valid"}' not in page, "a run is still to come"
            gate.touch()
            process.stderr.read()
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert only_experiment(tmp_path / "data").name.startswith("test_")


def _page(url: str) -> dict[str, float]:
    """The metrics by name and labels, without what is the same in all."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = {}
    for line in lines:
        if line.startswith("scaffoldry_"):
            name, _, value = line.removeprefix("scaffoldry_").rpartition(" ")
            found[re.sub(r'experiment="[^"]+",?', "", name).replace("{}", "")] = float(value)
    return found
