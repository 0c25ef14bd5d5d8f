"""What a result was made of, by its key: a digest of the spec, scaffold, example, model, seed and image."""

from shared.errors import ScaffoldryError
from shared.file_manager import ExperimentFileManager
from shared.job_key import JobKeys
from shared.models import Example, Job, RunResult
from shared.models.ids import PREFLIGHT, split_of


def recomputed_key(files: ExperimentFileManager, keys: JobKeys | None, job: Job, example: Example) -> str | None:
    """The key that a result of this job has today; None where that cannot be told.

    So it is where metadata or scaffold are gone, and with trials: they may be of an earlier draft of the scaffold.
    """
    if keys is None or split_of(job.run_type) == PREFLIGHT:
        return None
    try:
        return keys.of(files.scaffold_digest(job.scaffold_id), example, job.run_type)
    except (ScaffoldryError, OSError):
        return None


def key_problem(result: RunResult, key: str | None) -> str | None:
    """What is wrong where the result was made of something else than what lies in the directory; None if it was not.

    ``key`` is that of today; None says nothing.
    """
    if key is None or result.key is None or result.key == key:
        return None
    return "It was made of something else than what lies here: another scaffold, spec, example, model, seed or image."
