"""Running a scorer's program in a second sandbox: no gateway, nothing mounted but the program itself."""

import hashlib
from datetime import UTC, datetime

from shared.errors import InfraError
from shared.file_manager import ExperimentFileManager
from shared.models import (
    Labels,
    Limits,
    RunOutcome,
    RunRequest,
    ScaffoldMetadata,
    ScaffoldMount,
    ScaffoldResult,
    Status,
)
from shared.settings import get_settings
from worker.sandbox.base import Sandbox

_FOLDER = "scorer-programs"


def run_program(sandbox: Sandbox, labels: Labels, scaffold_code: str, input_string: str, timeout: float) -> RunOutcome:
    """Call the program's ``process_input`` once; a ``ProgramRunner`` when the first two arguments are given.

    The program is kept once, under a name made of its digest, where every host's Docker can mount it. Raises
    InfraError where the machinery failed.
    """
    directory = _kept(scaffold_code)
    with sandbox.open(directory, Limits(timeout=timeout), labels) as session:
        outcome = session.run(RunRequest(input_string=input_string))
    if outcome.status is Status.INFRA_ERROR:
        raise InfraError(outcome.error_message or "The scorer's sandbox failed.")
    return outcome


def _kept(code: str) -> ScaffoldMount:
    programs = ExperimentFileManager(get_settings().data_dir / f".{_FOLDER}")
    program_id = hashlib.sha256(code.encode()).hexdigest()[:32]
    try:
        directory = programs.get_docker_scaffold_dir(program_id)
    except FileNotFoundError:
        metadata = ScaffoldMetadata(created_at=datetime.now(UTC), source=_FOLDER)
        programs.save_scaffold(program_id, ScaffoldResult(code=code, metadata=metadata))
        directory = programs.get_docker_scaffold_dir(program_id)
    return ScaffoldMount(scaffold_id=program_id, directory=directory)
