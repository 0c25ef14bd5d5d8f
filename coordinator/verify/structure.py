"""What an experiment stands on: its metadata, data, plans and scaffolds. Results and scores come after."""

from collections.abc import Iterator

from coordinator.aggregate import gone
from coordinator.baseline import BASELINE
from coordinator.datasets import data_digest
from coordinator.report.words import command, listed
from coordinator.verify.flaw import Fault, Flaw
from shared.errors import CorruptFile, ScaffoldryError
from shared.file_manager import ExperimentFileManager
from shared.job_key import code_digest
from shared.models import Example, ExperimentMetadata, Plan
from shared.models.ids import PREFLIGHT, split_of
from shared.runtime import NAMES

Data = dict[str, tuple[Example, ...]]
RESTORE = "Restore it from a copy."


def metadata_of(files: ExperimentFileManager) -> ExperimentMetadata | Flaw:
    """The experiment's metadata, or why it cannot be read."""
    try:
        return files.load_metadata()
    except (CorruptFile, OSError) as error:
        return Flaw.of(error, "metadata.json", str(files))


def data_flaws(files: ExperimentFileManager, metadata: ExperimentMetadata) -> Iterator[Flaw]:
    """Whether the kept examples are those that the experiment began with."""
    try:
        data = files.load_data()
    except (CorruptFile, OSError) as error:
        yield Flaw.of(error, "data", str(files))
        return
    for split, digest in metadata.data_digests.items():
        file = f"data/{split}.jsonl"
        if split not in data:
            yield Flaw(fault=Fault.MISSING, file=file, problem=f"The {split} examples are gone. {RESTORE}")
        elif data_digest(data[split]) != digest:
            problem = f"These are not the {split} examples that the experiment began with. {RESTORE}"
            yield Flaw(fault=Fault.DAMAGED, file=file, problem=problem)


def script_flaws(files: ExperimentFileManager, metadata: ExperimentMetadata) -> Iterator[Flaw]:
    """Whether the kept answers of scripted models are those that the experiment began with."""
    for script, digest in metadata.script_digests.items():
        file = files.model_script_file(script)
        try:
            text = files.load_model_script(script)
        except (CorruptFile, OSError) as error:
            yield Flaw.of(error, file, str(files))
            continue
        if text is None:
            yield Flaw(
                fault=Fault.MISSING, file=file, problem=f"The answers of sim/script:{script} are gone. {RESTORE}"
            )
        elif code_digest(text) != digest:
            problem = f"These are not the answers of sim/script:{script} that the experiment began with. {RESTORE}"
            yield Flaw(fault=Fault.DAMAGED, file=file, problem=problem)


def link_flaws(files: ExperimentFileManager) -> Iterator[Flaw]:
    """Whether the folders that files are linked and moved between may lie on different file systems."""
    for folder in files.linked_folders():
        problem = (
            "It is a symbolic link, and an experiment's directory lies on one file system: put the folder itself "
            "there, or move the whole experiment."
        )
        yield Flaw(fault=Fault.FOREIGN, file=folder, problem=problem)


def plan_flaws(files: ExperimentFileManager, iteration: int) -> Iterator[Flaw]:
    """Whether an iteration's plan parses, and is that iteration's."""
    file = f"plans/{iteration}.json"
    try:
        plan = files.load_plan(iteration)
    except FileNotFoundError:
        problem = (
            f"The plan of iteration {iteration} is gone, though it was written before anything else of the iteration. "
        )
        yield Flaw(fault=Fault.MISSING, file=file, problem=problem + RESTORE)
    except (CorruptFile, OSError) as error:
        yield Flaw.of(error, file, str(files))
    else:
        if plan.iteration != iteration:
            problem = f"It is the plan of iteration {plan.iteration}: it was moved here. {RESTORE}"
            yield Flaw(fault=Fault.FOREIGN, file=file, problem=problem)


def example_flaws(plan: Plan, data: Data) -> Iterator[Flaw]:
    """Whether a plan's examples are among those that are kept; ``data`` without a split says nothing of it."""
    kept = {split: {example.id: example for example in examples} for split, examples in data.items()}
    others = [
        run_type
        for run_type, example in plan.runs.items()
        if (split := split_of(run_type)) != PREFLIGHT and split in kept
        if kept[split].get(example.id) != example.model_copy(update={"repeat": 0})
    ]
    if others:
        problem = f"It has other examples than data/ for {listed(others, 3)}. {RESTORE}"
        yield Flaw(fault=Fault.WRONG, file=f"plans/{plan.iteration}.json", problem=problem)


def scaffold_flaws(files: ExperimentFileManager) -> Iterator[Flaw]:
    """Whether the scaffolds that there are, and what lies beside them, are what was saved."""
    names: dict[str, set[str]] = {}
    for place in files.places("scaffolds"):
        folder, _, name = place.path.rpartition("/")
        names.setdefault(folder.removeprefix("scaffolds/"), set()).add(name)
    for scaffold_id in files.scaffold_ids():
        altered: list[str] = []
        try:
            files.load_scaffold(scaffold_id)
            altered = files.altered_runtime_files(scaffold_id)
        except (ScaffoldryError, OSError) as error:
            yield Flaw.of(error, f"scaffolds/{scaffold_id}/metadata.json", str(files))
        for name in altered:
            problem = f"It is not what was saved with scaffold {scaffold_id}, which asks its model by it. {RESTORE}"
            yield Flaw(fault=Fault.DAMAGED, file=f"scaffolds/{scaffold_id}/{name}", problem=problem)
        for name in sorted(set(NAMES) - names.get(scaffold_id, set())):
            problem = f"It is gone, and scaffold {scaffold_id} cannot ask its model without. {RESTORE}"
            yield Flaw(fault=Fault.MISSING, file=f"scaffolds/{scaffold_id}/{name}", problem=problem)


def planned_scaffold_flaws(plan: Plan, known: set[str]) -> Iterator[Flaw]:
    """The scaffolds that a plan runs and that are not there."""
    for scaffold_id in plan.scaffolds:
        if scaffold_id not in known:
            what = "baseline" if scaffold_id == BASELINE else f"scaffold {scaffold_id}"
            problem = f"The {what} is gone, though iteration {plan.iteration} runs it. {RESTORE}"
            yield Flaw(fault=Fault.MISSING, file=f"scaffolds/{scaffold_id}/scaffold.py", problem=problem)


def gone_flaws(files: ExperimentFileManager, plan: Plan) -> Iterator[Flaw]:
    """Whether results are gone that were counted: a session would do their runs again, and nobody would know why."""
    iteration = plan.iteration
    try:
        lost = gone(files, plan, files.load_details(iteration))
    except (ScaffoldryError, OSError):
        return  # nothing was counted yet; what else is wrong is said of the file that it is wrong with
    if lost:
        problem = (
            f"Results that scoring/details_{iteration}.json counts are gone: {lost:,}. Restore them from a copy. Or "
            f"remove that iteration's scoring files, too, and `{command('resume', str(files))}` does the runs again."
        )
        yield Flaw(fault=Fault.MISSING, file=f"results/{iteration}", problem=problem)
