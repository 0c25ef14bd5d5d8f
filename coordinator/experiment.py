"""Making an experiment's directory, and opening it again."""

import platform
from collections.abc import Sized
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import shared
from coordinator.datasets import data_digest, load_data, overlaps
from coordinator.plan import plan_iteration
from coordinator.scaffolds import load_scaffolds, scaffold_warnings
from coordinator.spec import LoadedSpec, check_spec, load_spec, spec_difference
from shared.errors import SpecChanged, SpecError
from shared.file_manager import ExperimentFileManager
from shared.models import Example, ExperimentMetadata, ImageInfo, Plan, ScaffoldResult
from shared.models.base import Frozen


class Prepared(Frozen):
    """An experiment that is checked and ready, with nothing written yet."""

    loaded: LoadedSpec
    spec_path: Path
    overrides: tuple[str, ...]
    data: dict[str, tuple[Example, ...]]
    scaffolds: tuple[ScaffoldResult, ...]
    scorer_source: str | None
    plan_size: int
    """Runs of the first iteration."""
    warnings: tuple[str, ...]


def prepare(spec_path: Path, overrides: tuple[str, ...] = (), name: str | None = None) -> Prepared:
    """Load and check everything an experiment needs. Raises SpecError, DatasetError, UnknownName, ModelConfigError."""
    if name is not None:
        overrides = (*overrides, f"name={name}")
    loaded = load_spec(spec_path, overrides)
    data = {str(split): examples for split, examples in load_data(loaded.spec.data, loaded.folder).items()}
    check_spec(loaded, data)
    scaffolds = load_scaffolds(loaded.spec, loaded.folder, datetime.now(UTC))
    plan = plan_iteration(loaded.spec.name, 0, loaded.spec.loop, data, _ids(scaffolds))
    return Prepared(
        loaded=loaded,
        spec_path=spec_path.absolute(),
        overrides=overrides,
        data={split: tuple(examples) for split, examples in data.items()},
        scaffolds=tuple(scaffolds),
        scorer_source=_scorer_source(loaded),
        plan_size=len(plan),
        warnings=(*overlaps(loaded.spec.data), *scaffold_warnings(scaffolds, loaded.folder)),
    )


def create(prepared: Prepared, data_dir: Path, image: ImageInfo | None) -> ExperimentFileManager:
    """Write the experiment's directory: scaffolds, the first plan and, last, the metadata that makes it one."""
    spec = prepared.loaded.spec
    files = ExperimentFileManager.create(data_dir, spec.name)
    for scaffold_id, scaffold in zip(_ids(prepared.scaffolds), prepared.scaffolds, strict=True):
        files.save_scaffold(scaffold_id, scaffold)
    if prepared.scorer_source is not None:
        files.save_scorer(spec.scorer.name.partition(":")[0], prepared.scorer_source)
    files.save_plan(plan_iteration(files.name, 0, spec.loop, prepared.data, _ids(prepared.scaffolds)))
    files.save_metadata(
        ExperimentMetadata(
            experiment=files.name,
            created_at=datetime.now(UTC),
            spec=spec,
            spec_path=str(prepared.spec_path),
            overrides=prepared.overrides,
            seeds={"loop": spec.loop.seed},
            versions=versions(),
            data_digests={split: data_digest(examples) for split, examples in prepared.data.items()},
            image=image,
        )
    )
    return files


def open_for_resume(directory: Path, ignore_spec_change: bool = False) -> ExperimentFileManager:
    """The experiment in ``directory``. Raises SpecChanged where its spec file no longer says what it was started with.

    A spec file that is gone is no obstacle: the experiment keeps its own copy.
    """
    files = ExperimentFileManager.open(directory)
    metadata = files.load_metadata()
    if ignore_spec_change or metadata.spec_path is None or not Path(metadata.spec_path).is_file():
        return files
    try:
        difference = spec_difference(metadata.spec, load_spec(Path(metadata.spec_path), metadata.overrides).spec)
    except SpecError as error:
        difference = [str(error)]
    if difference:
        raise SpecChanged(
            f"The spec {metadata.spec_path} is not the one this experiment was started with:\n  "
            + "\n  ".join(difference)
            + "\nPut it back, start a new experiment with `scaffoldry run`, or go on with the old spec: "
            f"scaffoldry resume {directory} --ignore-spec-change"
        )
    return files


def plan_for(files: ExperimentFileManager, iteration: int) -> Plan:
    """The iteration's plan, as it was written before anything of it was enqueued."""
    return files.load_plan(iteration)


def versions() -> dict[str, str]:
    """What the experiment is run with."""
    packages = {name: version(name) for name in ("celery", "docker", "pydantic")}
    return {"scaffoldry": shared.__version__, "python": platform.python_version(), **packages}


def _ids(scaffolds: Sized) -> list[str]:
    return [str(index) for index in range(len(scaffolds))]


def _scorer_source(loaded: LoadedSpec) -> str | None:
    module, colon, _ = loaded.spec.scorer.name.partition(":")
    path = loaded.folder / (module.replace(".", "/") + ".py")
    return path.read_text() if colon and path.is_file() else None
