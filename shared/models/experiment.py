"""``metadata.json``: what an experiment is, written once at its start."""

from datetime import datetime

from pydantic import Field

from shared.models.base import Frozen
from shared.models.ids import ExperimentName
from shared.models.spec import ExperimentSpec

EXPERIMENT_SCHEMA = 1


class ImageInfo(Frozen):
    """The sandbox image runs are executed in. ``digest`` is None where the coordinator has no engine to ask."""

    reference: str
    digest: str | None = None


class ExperimentMetadata(Frozen):
    """Everything needed to resume an experiment, and to know later what it was."""

    schema_version: int = EXPERIMENT_SCHEMA
    experiment: ExperimentName
    created_at: datetime
    spec: ExperimentSpec
    spec_path: str | None = None
    """The spec file it was started from, on the machine it was started on."""
    overrides: tuple[str, ...] = ()
    """The ``--set`` options it was started with."""
    seeds: dict[str, int] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    data_digests: dict[str, str] = Field(default_factory=dict)
    """split -> sha256 over its examples, so that a changed dataset is noticed."""
    script_digests: dict[str, str] = Field(default_factory=dict)
    """FILE of a model ``sim/script:FILE`` -> digest of the answers that are kept of it."""
    image: ImageInfo | None = None
