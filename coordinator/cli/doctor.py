"""``doctor``: what is wrong on this machine, and the fix of each."""

import json
import sys
from pathlib import Path
from typing import Any

import typer

from coordinator.cli.guard import say
from coordinator.cli.options import AsJson, BrokerUrl, DataDir, broker_url_or_set, data_dir_or_set

OLDEST_PYTHON = (3, 11)
MARKS = {True: "ok", False: "FAILED", None: "?"}


def doctor(broker_url: BrokerUrl = None, data_dir: DataDir = None, as_json: AsJson = False) -> int:
    """Say what is wrong here, and how to mend it.

    Checks Python, the data directory, Docker, the sandbox image, models and keys, the broker, and that each worker
    answers and shares the data directory. Exits with 3 where a check fails.
    """
    from coordinator.report.json_report import json_line
    from coordinator.report.words import plural

    findings = [python_finding(), data_dir_finding(data_dir_or_set(data_dir))]
    findings += worker_findings() + _broker_findings(broker_url_or_set(broker_url), data_dir_or_set(data_dir))
    typer.echo("".join(map(json_line, findings)) if as_json else in_words(findings), nl=False)
    failed = sum(finding["ok"] is False for finding in findings)
    say(f"{plural(failed, 'check')} failed." if failed else "Nothing is amiss.")
    return 3 if failed else 0


def python_finding() -> dict[str, Any]:
    """Whether this Python is new enough."""
    detail = f"{sys.version.split()[0]} at {sys.executable}"
    ok = sys.version_info[:2] >= OLDEST_PYTHON
    return _finding("python", ok, detail, None if ok else "Install Python 3.11 or later.")


def data_dir_finding(data_dir: Path) -> dict[str, Any]:
    """Whether experiments can be written."""
    from shared.file_manager import ExperimentFileManager

    try:
        ExperimentFileManager.check_writable(data_dir)
    except OSError as error:
        fix = "Choose another folder with SCAFFOLDRY_DATA_DIR, or mend its owner, mode or free space."
        return _finding("data directory", False, f"{data_dir.absolute()}: {error.strerror}", fix)
    return _finding("data directory", True, f"{data_dir.absolute()} can be written")


def worker_findings() -> list[dict[str, Any]]:
    """What the worker's own doctor says of Docker, image and models."""
    from coordinator.worker_tools import call_worker

    done = call_worker("doctor", "--json", capture=True)
    try:
        return [_finding(**finding) for finding in json.loads(done.stdout)]
    except (ValueError, TypeError):
        detail = f"its checks ended with exit code {done.returncode} and no findings"
        return [_finding("worker", False, detail, "Install Scaffoldry anew if what it said above is no help.")]


def in_words(findings: list[dict[str, Any]]) -> str:
    """A line per finding, and a second with the fix of what failed."""
    from coordinator.report.words import one_line

    lines = []
    for finding in findings:
        lines.append(f"{MARKS[finding['ok']]:<7} {one_line(finding['check'])}: {one_line(finding['detail'])}")
        if finding["fix"] and finding["ok"] is not True:
            lines.append(f"{'':<7} fix: {one_line(finding['fix'])}")
    return "\n".join(lines) + "\n"


def _broker_findings(url: str | None, data_dir: Path) -> list[dict[str, Any]]:
    from coordinator.session import doctor_workers
    from shared.errors import ScaffoldryError

    try:
        return [finding.model_dump() for finding in doctor_workers(url, data_dir)]
    except ScaffoldryError as error:
        return [_finding("broker", False, str(error), "Correct SCAFFOLDRY_BROKER_URL.")]


def _finding(check: str, ok: bool | None, detail: str, fix: str | None = None) -> dict[str, Any]:
    return {"check": check, "ok": ok, "detail": detail, "fix": fix}
