"""Making an experiment's directory, and opening it again."""

import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import shared
from coordinator.baseline import BASELINE, baseline_scaffold
from coordinator.datasets import data_digest, load_data, overlaps
from coordinator.plan import check_plans, first_assigned, plan_iteration
from coordinator.proposers import check_proposer
from coordinator.report.words import command
from coordinator.scaffolds import load_scaffolds, scaffold_warnings
from coordinator.spec import LoadedSpec, check_spec, load_spec, model_scripts, scorer_source, spec_difference
from shared.budget import Budget, bounds_set, check_budget
from shared.errors import SpecChanged, SpecError
from shared.file_manager import ExperimentFileManager
from shared.job_key import code_digest
from shared.models import Example, ExperimentMetadata, ExperimentSpec, ImageInfo, Plan, ScaffoldResult
from shared.models.base import Frozen
from shared.scorers import check_scorer


class Prepared(Frozen):
    """An experiment that is checked and ready, with nothing written yet."""

    loaded: LoadedSpec
    spec_path: Path
    overrides: tuple[str, ...]
    data: dict[str, tuple[Example, ...]]
    scaffolds: tuple[ScaffoldResult, ...]
    scorer_source: tuple[str, str] | None
    """Module name and text of a scorer that lies beside the spec."""
    model_scripts: dict[str, str]
    proposer_files: dict[str, str]
    """What the proposer must find again on another day: file name -> text."""
    warnings: tuple[str, ...]


def prepare(spec_path: Path, overrides: tuple[str, ...] = (), name: str | None = None) -> Prepared:
    """Load and check everything an experiment needs. Raises SpecError, DatasetError, UnknownName, ModelConfigError."""
    if name is not None:
        overrides = (*overrides, f"name={json.dumps(name)}")  # in quotes it is text, whatever it reads like
    loaded = load_spec(spec_path, overrides)
    data = {str(split): examples for split, examples in load_data(loaded.spec.data, loaded.folder).items()}
    check_spec(loaded, data)
    scaffolds = load_scaffolds(loaded.spec, loaded.folder, datetime.now(UTC))
    check_plans(loaded.spec, data)
    check_budget(loaded.spec)
    spec = loaded.spec
    return Prepared(
        loaded=loaded,
        spec_path=spec_path.absolute(),
        overrides=overrides,
        data={split: tuple(examples) for split, examples in data.items()},
        scaffolds=tuple(scaffolds),
        scorer_source=scorer_source(loaded),
        model_scripts=model_scripts(loaded),
        proposer_files=(
            check_proposer(spec.proposer, scaffolds, loaded.folder, spec.models) if spec.proposer is not None else {}
        ),
        warnings=(*overlaps(loaded.spec.data), *scaffold_warnings(scaffolds, loaded.folder)),
    )


def create(prepared: Prepared, data_dir: Path, image: ImageInfo | None) -> ExperimentFileManager:
    """Write the experiment's directory, whole or not at all: a full disk or a Ctrl-C leaves nothing of it."""
    files = ExperimentFileManager.create(data_dir, prepared.loaded.spec.name)
    try:
        _fill(files, prepared, image)
    except BaseException:
        files.discard()
        raise
    return files


def _fill(files: ExperimentFileManager, prepared: Prepared, image: ImageInfo | None) -> None:
    """Write scaffolds, the first plan, what the spec brings along and, last, the metadata that makes it one."""
    spec = prepared.loaded.spec
    for scaffold_id, scaffold in zip(given_ids(spec), prepared.scaffolds, strict=True):
        files.save_scaffold(scaffold_id, scaffold)
    if prepared.scorer_source is not None:
        files.save_scorer(*prepared.scorer_source)
    for script, text in prepared.model_scripts.items():
        files.save_model_script(script, text)
    for name, text in prepared.proposer_files.items():
        files.save_proposer_file(name, text)
    if spec.has_baseline:
        files.save_scaffold(BASELINE, baseline_scaffold(spec.task, datetime.now(UTC)))
    for split, examples in prepared.data.items():
        files.save_data(split, examples)
    assigned = first_assigned(spec, given_ids(spec))
    files.save_plan(plan_iteration(files.name, 0, spec.loop, prepared.data, assigned))
    files.save_metadata(
        ExperimentMetadata(
            experiment=files.name,
            created_at=datetime.now(UTC),
            spec=spec,
            spec_path=str(prepared.spec_path),
            overrides=prepared.overrides,
            seeds=spec.loop.seeds,
            versions=versions(),
            data_digests={split: data_digest(examples) for split, examples in prepared.data.items()},
            script_digests={script: code_digest(text) for script, text in prepared.model_scripts.items()},
            image=image,
        )
    )


def take_mended_scorer(files: ExperimentFileManager) -> str | None:
    """Put the user's scorer beside the spec in the place of the experiment's copy; a sentence where they differed.

    The copy stays where the spec's folder is gone or has no such module. Raises SpecError where the new one does not
    load.
    """
    metadata = files.load_metadata()
    if metadata.spec_path is None:
        return None
    path = Path(metadata.spec_path)
    module, source = scorer_source(LoadedSpec(metadata.spec, path.parent, path.name)) or ("", None)
    if source is None or source == files.load_scorer(module):
        return None
    check_scorer(metadata.spec.scorer, module_source=source)
    files.save_scorer(module, source)
    return f"The scorer module {module} beside {path} has changed; it takes the place of the experiment's copy."


def open_for_resume(directory: Path, ignore_spec_change: bool = False) -> ExperimentFileManager:
    """The experiment in ``directory``. Raises SpecChanged where its spec file no longer says what it was started with.

    A spec file that is gone is no obstacle: the experiment keeps its own copy. Other amounts in ``budget`` are taken.
    """
    files = ExperimentFileManager.open(directory)
    metadata = files.load_metadata()
    if ignore_spec_change or metadata.spec_path is None or not Path(metadata.spec_path).is_file():
        return files
    try:
        spec = load_spec(Path(metadata.spec_path), metadata.overrides).spec
        difference = spec_difference(metadata.spec, _take_budget(files, metadata.spec, spec))
    except SpecError as error:
        difference = [str(error)]
    if difference:
        raise SpecChanged(
            f"The spec {metadata.spec_path} is not the one this experiment was started with:\n  "
            + "\n  ".join(difference)
            + f"\nPut it back, start a new experiment with `{command('run')}`, or go on with the old spec: "
            + command("resume", str(directory), "--ignore-spec-change")
        )
    return files


def _take_budget(files: ExperimentFileManager, old: ExperimentSpec, new: ExperimentSpec) -> ExperimentSpec:
    """``new`` as it is to be compared with ``old``: other amounts of what was bounded from the beginning are taken."""
    budget = Budget.of(files, old.budget)
    if budget is None or bounds_set(old.budget) != bounds_set(new.budget):
        return new
    others_same = new.model_copy(update={"budget": old.budget})
    if not spec_difference(old, others_same):
        budget.change(new.budget)
    return others_same


def plan_for(files: ExperimentFileManager, iteration: int) -> Plan:
    """The iteration's plan, as it was written before anything of it was enqueued."""
    plan = files.load_plan(iteration)
    # The directory may have been renamed since; workers find it by the name it has now.
    return plan.model_copy(update={"experiment": files.name})


def versions() -> dict[str, str]:
    """What the experiment is run with."""
    packages = {name: version(name) for name in ("celery", "docker", "pydantic")}
    return {"scaffoldry": shared.__version__, "python": platform.python_version(), **packages}


def given_ids(spec: ExperimentSpec) -> list[str]:
    """The ids of the scaffolds that the spec gives."""
    return [str(index) for index in range(len(spec.scaffolds))]
