"""The nouns of Scaffoldry, one module each."""

from shared.models.base import Frozen
from shared.models.example import Example
from shared.models.experiment import ExperimentMetadata, ImageInfo
from shared.models.finding import Finding
from shared.models.job import Job
from shared.models.limits import Limits
from shared.models.plan import Plan
from shared.models.result import Receipt, RunResult, Usage
from shared.models.run import Labels, RunOutcome, RunRequest, ScaffoldExecutionResult, ScaffoldMount
from shared.models.scaffold import ScaffoldMetadata, ScaffoldResult
from shared.models.scores import Details, Estimate, Leader, SplitDetails, Winner
from shared.models.spec import ExperimentSpec, ModelSpec, ScorerSpec
from shared.models.status import Status

__all__ = [
    "Details",
    "Estimate",
    "Example",
    "ExperimentMetadata",
    "ExperimentSpec",
    "Finding",
    "Frozen",
    "ImageInfo",
    "Job",
    "Labels",
    "Leader",
    "Limits",
    "ModelSpec",
    "Plan",
    "Receipt",
    "RunOutcome",
    "RunRequest",
    "RunResult",
    "ScaffoldExecutionResult",
    "ScaffoldMetadata",
    "ScaffoldMount",
    "ScaffoldResult",
    "ScorerSpec",
    "SplitDetails",
    "Status",
    "Usage",
    "Winner",
]
