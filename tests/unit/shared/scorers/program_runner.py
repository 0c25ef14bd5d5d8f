"""A ProgramRunner that really runs the program, as a plain subprocess."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from shared.models import RunOutcome, Status

_MAIN = "import pathlib, sys, scaffold; pathlib.Path(sys.argv[1]).write_text(scaffold.process_input(sys.stdin.read()))"


def run_program(scaffold_code: str, input_string: str, timeout: float) -> RunOutcome:
    """Call ``process_input`` in another interpreter; the answer comes back in a file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "scaffold.py").write_text(scaffold_code, encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-c", _MAIN, str(folder / "answer")],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        try:
            _, stderr = process.communicate(input_string, timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # the solution's interpreter too
            process.wait()
            return RunOutcome(status=Status.TIMEOUT)
        if process.returncode:
            return RunOutcome(status=Status.SCAFFOLD_ERROR, error_message=stderr[-500:])
        return RunOutcome(status=Status.OK, output=(folder / "answer").read_text(encoding="utf-8"))
