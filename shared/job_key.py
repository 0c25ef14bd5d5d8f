"""A job's key: one digest of all that decides its result. Pure, so that whoever has the experiment can compute it."""

import hashlib
import json
from functools import cached_property
from typing import Any

from shared.model_names import MOCK_MODEL, parse_model
from shared.models import Example, ExperimentMetadata
from shared.models.ids import PREFLIGHT, split_of


def job_key(metadata: ExperimentMetadata, scaffold_code: str | bytes, example: Example, run_type: str) -> str:
    """The key of running that code on that example: ``sha256:`` and 64 hexadecimal digits.

    ``run_type`` tells a trial, which asks a mock model, from the rest; the number in it does not matter. Raises
    InvalidId, and UnknownName or ModelConfigError where the spec's model is none.
    """
    return JobKeys(metadata).of(code_digest(scaffold_code), example, run_type)


class JobKeys:
    """The keys of one experiment's jobs.

    The image is the one that the experiment began with, whatever a worker's host may have under its name. The source of
    a scorer of the user's is left out: ``scaffoldry score`` scores what was run with a mended one, and keeps the keys.
    """

    def __init__(self, metadata: ExperimentMetadata) -> None:
        self._metadata = metadata

    def of(self, scaffold_digest: str, example: Example, run_type: str) -> str:
        """As ``job_key``, from the digest of the code as ``code_digest`` gives it."""
        return _digest(
            {
                **(self._trial if split_of(run_type) == PREFLIGHT else self._counted),
                "scaffold": scaffold_digest,
                "example": example.model_dump(mode="json"),
                "seed": repeat_seed(self._metadata.spec.loop.seeds["model"], example.repeat),
            }
        )

    @cached_property
    def _trial(self) -> dict[str, Any]:
        return self._common(MOCK_MODEL)

    @cached_property
    def _counted(self) -> dict[str, Any]:
        return self._common(self._metadata.spec.executor.model)

    def _common(self, model_name: str) -> dict[str, Any]:
        """What the keys of all runs that ask that model are made of."""
        metadata = self._metadata
        model = parse_model(model_name, metadata.spec.models)
        script = metadata.script_digests.get(model.script or "")
        # What stands at its default is left out: a field that a later version adds leaves the keys of old results.
        return {
            "spec": _digest(metadata.spec.model_dump(mode="json", exclude_defaults=True)),
            "model": model.model_dump(mode="json", exclude={"price"}, exclude_defaults=True),
            "image": metadata.image.digest if metadata.image else None,
            **({"script": script} if script else {}),
        }


def code_digest(scaffold_code: str | bytes) -> str:
    """The digest of a scaffold's code; text is digested as it is saved."""
    data = scaffold_code.encode("utf-8", errors="surrogatepass") if isinstance(scaffold_code, str) else scaffold_code
    return "sha256:" + hashlib.sha256(data).hexdigest()


def repeat_seed(seed: int, repeat: int) -> int:
    """The seed that a repeat of an example asks its model with: ``seed`` the first time, then others far from it.

    Not ``seed + repeat``: an experiment with the next seed would share all repeats but one with this one.
    """
    if not repeat:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}:{repeat}".encode()).digest()[:4], "big") >> 1


def _digest(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
