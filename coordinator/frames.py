"""Results as rows, and as a data frame where pandas is installed."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import UsageError
from shared.file_manager import ExperimentFileManager
from shared.models import RunResult, Usage
from shared.models.ids import split_of

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *(name for name in RunResult.model_fields if name != "usage"),
    *(f"usage_{name}" for name in Usage.model_fields),
    "split",
    "parent_scaffold_id",
)
"""The keys of a row, in order."""


def runs_df(directory: Path | str) -> "pd.DataFrame":
    """A data frame with a row for each committed run of the experiment in ``directory``; its columns are ``COLUMNS``.

    Needs pandas. Raises UsageError where it is not installed, NotAnExperiment, CorruptFile.
    """
    try:
        import pandas as pd
    except ImportError:
        raise UsageError(
            "runs_df gives a pandas data frame, and pandas is not installed. Install it with "
            "`pip install 'scaffoldry[pandas]'`, or use run_rows, which does without."
        ) from None
    return pd.DataFrame(run_rows(directory), columns=list(COLUMNS))


def run_rows(directory: Path | str) -> Iterator[dict[str, Any]]:
    """A flat dict for each committed run: the fields of its RunResult, those of its usage with ``usage_`` in front,
    its split and its scaffold's parent. By iteration, scaffold and run type; read one at a time.
    """
    files = ExperimentFileManager.open(Path(directory))
    parents = {id: files.load_scaffold(id).metadata.parent_scaffold_id for id in files.scaffold_ids()}
    for iteration in files.plan_iterations():
        for scaffold_id, parent in parents.items():
            for result in files.results(iteration, scaffold_id):
                yield _row(result, parent)


def _row(result: RunResult, parent: str | None) -> dict[str, Any]:
    fields = {name: getattr(result, name) for name in RunResult.model_fields if name != "usage"}
    usage = {f"usage_{name}": getattr(result.usage, name) for name in Usage.model_fields}
    derived = {"split": split_of(result.run_type), "parent_scaffold_id": parent}
    return {**fields, "status": result.status.value, **usage, **derived}
