"""What a scaffold finds around it in a sandbox: a program looks, in that sandbox."""

import platform

from shared.errors import InfraError
from shared.models import Labels
from shared.models.surroundings import Interior
from shared.settings import get_settings
from worker.programs import run_program
from worker.sandbox.registry import build_sandbox
from worker.volume import use_host_paths

_TIMEOUT = 60.0

LOOK = '''\
"""Says which Python runs it, and then, a line each, what is installed beside the standard library."""

import os
import sys


def process_input(input_string: str) -> str:
    found = set()
    for folder in sys.path:
        for entry in os.listdir(folder) if os.path.isdir(folder) else ():
            name, dot, kind = entry.rpartition(".")
            if dot and kind in ("dist-info", "egg-info"):
                parts = name.split("-")
                found.add(" ".join(parts[:2]))
    version = ".".join(str(part) for part in sys.version_info[:3])
    return "\\n".join([version, *sorted(found, key=str.lower)])
'''
"""Needs nothing that the smallest of Python images lacks."""


def look_around(sandbox_name: str) -> Interior:
    """Python's version and the installed packages in the sandbox of that name.

    Raises UnknownName, SandboxUnavailable, and InfraError where the program did not run as it should.
    """
    sandbox = build_sandbox(sandbox_name)
    sandbox.check()
    if not sandbox.uses_gateway:
        return Interior(python=platform.python_version())  # nothing is ever run there
    use_host_paths(sandbox)
    labels = Labels(job="surroundings", worker=get_settings().worker_name)
    outcome = run_program(sandbox, labels, LOOK, "", _TIMEOUT)
    sandbox.settle()
    python, *packages = (outcome.output or "").splitlines() or [""]
    if not python:
        raise InfraError(f"The sandbox did not say which Python it has: {outcome.error_message or outcome.stderr}")
    return Interior(python=python, packages=tuple(packages))
