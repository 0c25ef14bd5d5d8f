"""``doctor``: what is wrong on this machine and at the workers, and the fix of each."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from coordinator.cli.guard import describe, say
from coordinator.cli.options import AsJson, BrokerUrl, DataDir, broker_url_or_set, data_dir_or_set

if TYPE_CHECKING:
    from shared.models import Finding

OLDEST_PYTHON = (3, 11)
MARKS = {True: "ok", False: "FAILED", None: "?"}


def doctor(broker_url: BrokerUrl = None, data_dir: DataDir = None, as_json: AsJson = False) -> int:
    """Say what is wrong here and at the workers, and how to mend it.

    Checks Python, the data directory, Docker, the sandbox image, models and keys, the broker, and that each worker
    answers and shares the data directory; each says how its own Docker, image, models and keys are. Exits with 3
    where a check fails.
    """
    from coordinator.report.json_report import json_line
    from coordinator.report.words import plural

    findings = [python_finding(), data_dir_finding(data_dir_or_set(data_dir))]
    findings += worker_findings() + _broker_findings(broker_url_or_set(broker_url), data_dir_or_set(data_dir))
    lines = (json_line(finding.model_dump()) for finding in findings)
    typer.echo("".join(lines) if as_json else in_words(findings), nl=False)
    failed = sum(finding.ok is False for finding in findings)
    say(f"{plural(failed, 'check')} failed." if failed else "Nothing is amiss.")
    return 3 if failed else 0


def python_finding() -> "Finding":
    """Whether this Python is new enough."""
    from shared.models import Finding

    detail = f"{sys.version.split()[0]} at {sys.executable}"
    ok = sys.version_info[:2] >= OLDEST_PYTHON
    fix = None if ok else "Install Python 3.11 or later."
    return Finding(check="python", ok=ok, detail=detail, fix=fix)


def data_dir_finding(data_dir: Path) -> "Finding":
    """Whether experiments can be written."""
    from shared.file_manager import ExperimentFileManager
    from shared.models import Finding

    try:
        ExperimentFileManager.check_writable(data_dir)
    except OSError as error:
        fix = "Choose another folder with SCAFFOLDRY_DATA_DIR, or mend its owner, mode or free space."
        return Finding(check="data directory", ok=False, detail=f"{data_dir.absolute()}: {error.strerror}", fix=fix)
    return Finding(check="data directory", ok=True, detail=f"{data_dir.absolute()} can be written")


def worker_findings() -> list["Finding"]:
    """What the worker's own doctor says of Docker, image and models."""
    from coordinator.worker_tools import call_worker
    from shared.models import Finding

    done = call_worker("doctor", "--json", capture=True)
    try:
        return [Finding.model_validate(finding) for finding in json.loads(done.stdout)]
    except (ValueError, TypeError):
        detail = f"its checks ended with exit code {done.returncode} and no findings"
        fix = "Install Scaffoldry anew if what it said above is no help."
        return [Finding(check="worker", ok=False, detail=detail, fix=fix)]


def in_words(findings: list["Finding"]) -> str:
    """A line per finding, and a second with the fix of what failed."""
    from coordinator.report.words import one_line

    lines = []
    for finding in findings:
        lines.append(f"{MARKS[finding.ok]:<7} {one_line(finding.check)}: {one_line(finding.detail)}")
        if finding.fix and finding.ok is not True:
            lines.append(f"{'':<7} fix: {one_line(finding.fix)}")
    return "\n".join(lines) + "\n"


def _broker_findings(url: str | None, data_dir: Path) -> list["Finding"]:
    from coordinator.doctor import doctor_workers
    from shared.errors import ScaffoldryError
    from shared.models import Finding

    try:
        return doctor_workers(url, data_dir)
    except ScaffoldryError as error:
        return [Finding(check="broker", ok=False, detail=str(error), fix="Correct SCAFFOLDRY_BROKER_URL.")]
    except OSError as error:
        detail = f"could not be asked whether they share the data directory: {describe(error)[0]}"
        return [Finding(check="workers", ok=False, detail=detail)]
