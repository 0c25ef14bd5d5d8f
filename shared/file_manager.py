"""The experiment's directory: the only code that knows a path.

Layout, under ``<data_dir>/<name>_<timestamp>/``::

    metadata.json
    scaffolds/<scaffold_id>/{scaffold.py, metadata.json, llm_executor.py, llm_interfaces.py}
    logs/<iteration>/<scaffold_id>/<run_type>.log
    scoring/{scores,details}_<iteration>.json
    plans/<iteration>.json
    data/<split>.jsonl                                     the examples, as they were at the start
    attempts/<iteration>/<scaffold_id>/<run_type>.<session>-<attempt>.<token>   where an attempt is at work
    fences/<iteration>/<scaffold_id>/<run_type>.json       up to which attempt all are void
    dropped/<iteration>.<scaffold_id>.<run_type>.<...>     a mark for each run that was done and does not count
    results/<iteration>/<scaffold_id>/<run_type>.json      committed once
    quarantine/<iteration>/<scaffold_id>/<run_type>.json   why a run has no result
    scorers/<module>.py                                    a scorer of the user's own
    proposer/<file>                                        what the proposer needs to go on another day
    budget.json, budget.lock                               what of the budget is used, where there is one
    sessions/{<n>, <n>.cancelled}                          marks: session n began; workers are to drop its jobs
    scripts/<digest of FILE>.yaml                          the answers of sim/script:FILE
    coordinator.lock                                       held by the coordinator that conducts it, whom it names
    damaged/<path of a file>                               records that were not what was written, set aside by resume
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from filelock import FileLock

from shared import atomic, fresh
from shared.code_digests import CodeDigests
from shared.conducting import ConductorLock
from shared.errors import DamagedFile, NotAnExperiment, UsageError
from shared.host_paths import moved
from shared.inventory import Place, linked_folders, set_aside, set_aside_run_types, walk
from shared.kept_files import KeptFiles
from shared.models.example import Example
from shared.models.experiment import ExperimentMetadata
from shared.models.ids import (
    check_experiment_name,
    check_iteration,
    check_scaffold_id,
    scaffold_id_key,
)
from shared.models.job import Job
from shared.models.plan import Plan
from shared.models.result import RunResult
from shared.models.scaffold import ScaffoldMetadata, ScaffoldResult
from shared.models.scores import Details
from shared.models.spending import Spending
from shared.plans import Plans
from shared.records import read_bytes, read_result, read_scores, scores_bytes
from shared.run_files import RunFiles
from shared.runtime import read_runtime_files
from shared.scaffold_files import metadata_bytes, read_metadata
from shared.session_marks import SessionMarks
from shared.settings import get_settings
from shared.volume import volume_id

TEMPORARY_SECONDS = 60.0
"""A temporary file that has not changed for so long is nobody's any more; there are for as long as one write takes.
Whether its writer lives is known on the writer's own host alone."""


class ExperimentFileManager(RunFiles, KeptFiles, SessionMarks):
    """Everything one experiment keeps on the shared volume. Methods take ids; only ``get_docker_*`` give paths: the
    absolute ones by which the Docker engine's host knows the directories.

    Ids that are not valid raise InvalidId; a file that does not parse raises CorruptFile, which names it.
    """

    def __init__(self, experiment_dir: Path) -> None:
        super().__init__(experiment_dir)
        self._plans = Plans(self._dir / "plans", self._root)
        self._codes = CodeDigests(self._root)

    # ------------------------------------------------------------------ the experiment

    @classmethod
    def create(cls, data_dir: Path, name: str, now: datetime | None = None) -> Self:
        """A new, empty experiment directory ``<name>_<timestamp>``; never one that exists."""
        atomic.make_directory(Path(data_dir))
        stamp = (now or datetime.now(UTC)).strftime("%Y%m%d-%H%M%S")
        for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
            directory = Path(data_dir) / check_experiment_name(f"{name}_{stamp}{suffix}")
            try:
                directory.mkdir()
            except FileExistsError:
                continue
            atomic.sync_directory(Path(data_dir))
            return cls(directory)
        raise UsageError(f"There are a thousand experiments named {name}_{stamp} already; choose another name.")

    @classmethod
    def open(cls, experiment_dir: Path) -> Self:
        """An experiment that exists; raises NotAnExperiment where there is none."""
        directory = Path(experiment_dir)
        if not fresh.exists(directory / "metadata.json", directory.parent):
            sentence = f"{directory} holds no experiment: there is no metadata.json in it."
            left = [name for name in ("results", "plans", "scaffolds") if (directory / name).is_dir()]
            if left:
                sentence += (
                    f" Its {left[0]}/ is what is left of one: restore metadata.json from a copy, for nothing else says "
                    "what the experiment was."
                )
            raise NotAnExperiment(sentence)
        return cls(directory.absolute())

    @classmethod
    def locate(cls, data_dir: Path, experiment: str) -> Self:
        """The experiment of that name on this host's view of the shared volume."""
        return cls.open(Path(data_dir) / check_experiment_name(experiment))

    @classmethod
    def all_in(cls, data_dir: Path) -> list[Self]:
        """The experiments of a folder, by name; none where the folder does not exist."""
        directories = (Path(data_dir) / name for name in sorted(fresh.names_in(Path(data_dir), Path(data_dir))))
        return [
            cls(directory) for directory in directories if fresh.exists(directory / "metadata.json", Path(data_dir))
        ]

    @staticmethod
    def check_writable(data_dir: Path) -> None:
        """Write a file into the folder of experiments and remove it; raises OSError where that cannot be done."""
        probe = Path(data_dir) / f"{atomic.TEMPORARY}probe-{os.getpid()}"
        atomic.write_file(probe, b"probe")
        probe.unlink(missing_ok=True)  # by another host's process of the same number, at the same moment

    def __str__(self) -> str:
        """Where it lies, for the sentences and command lines that people get: nobody makes a path of it."""
        return str(self._dir)

    def volume_id(self) -> str:
        """The id of the volume that the experiment lies on; made if need be. Raises OSError and CorruptFile."""
        return volume_id(self._root)

    def discard(self) -> None:
        """Remove the whole directory: for an experiment that could not be made."""
        shutil.rmtree(self._dir)

    def save_metadata(self, metadata: ExperimentMetadata) -> None:
        """Write ``metadata.json``."""
        self._save(self._dir / "metadata.json", metadata)

    def load_metadata(self) -> ExperimentMetadata:
        """What the experiment is."""
        return self._load(self._dir / "metadata.json", ExperimentMetadata)

    # ------------------------------------------------------------------ scaffolds

    def save_scaffold(self, scaffold_id: str, result: ScaffoldResult) -> None:
        """Save a scaffold with the runtime files that lie beside it.

        Raises OSError if it cannot be saved.
        """
        directory = self._scaffold_dir(scaffold_id)
        runtime = read_runtime_files()
        for name, text in runtime.items():
            atomic.write_file(directory / name, text.encode())
        atomic.write_file(directory / "metadata.json", metadata_bytes(result.metadata, runtime))
        # Last, because a scaffold exists when its code does.
        atomic.write_file(directory / "scaffold.py", result.code.encode("utf-8", errors="surrogatepass"))
        directory.chmod(0o755)

    def load_scaffold(self, scaffold_id: str) -> ScaffoldResult:
        """Load a scaffold. Raises FileNotFoundError if it doesn't exist."""
        directory = self._existing_scaffold_dir(scaffold_id)
        try:
            code = (directory / "scaffold.py").read_bytes().decode("utf-8", errors="surrogatepass")
        except UnicodeDecodeError:
            path = directory / "scaffold.py"
            raise DamagedFile(f"{path} is not text in UTF-8 any more; restore it from a copy.") from None
        return ScaffoldResult(code=code, metadata=self.load_scaffold_metadata(scaffold_id))

    def load_scaffold_metadata(self, scaffold_id: str) -> ScaffoldMetadata:
        """What is known of a scaffold, also where its code was not yet written. FileNotFoundError if nothing is."""
        return self._scaffold_metadata(scaffold_id)[0]

    def altered_runtime_files(self, scaffold_id: str) -> list[str]:
        """Those of the runtime files beside a scaffold that are others than were saved with it. Of one that is gone
        nothing is said, nor of a scaffold that an earlier version saved, which kept no digests.

        Raises FileNotFoundError where nothing is known of the scaffold, CorruptFile, and OSError where one of the files
        cannot be read.
        """
        altered = []
        for name, digest in self._scaffold_metadata(scaffold_id)[1].items():
            with suppress(FileNotFoundError):
                if self._codes.look(self._scaffold_dir(scaffold_id) / name) != digest:
                    altered.append(name)
        return altered

    def scaffold_ids(self) -> list[str]:
        """The ids of all scaffolds, parents before their children."""
        folder = self._dir / "scaffolds"
        found = [name for name in self._names(folder) if fresh.exists(folder / name / "scaffold.py", self._root)]
        return sorted(found, key=scaffold_id_key)

    def get_docker_scaffold_dir(self, scaffold_id: str) -> Path:
        """The path of a scaffold's directory, for Docker to mount. Raises FileNotFoundError if there is none."""
        return _on_engine_host(self._existing_scaffold_dir(scaffold_id))

    def scaffold_digest(self, scaffold_id: str) -> str:
        """The digest of a scaffold's code as it was when its directory was last handed out, or is now.

        Raises FileNotFoundError if there is none.
        """
        return self._codes.last(self._scaffold_dir(scaffold_id) / "scaffold.py")

    def get_docker_logs_dir(self, iteration: int, scaffold_id: str) -> Path:
        """The path of the directory of a scaffold's logs, for Docker to mount; made if need be."""
        directory = self._dir / "logs" / _iteration(iteration) / check_scaffold_id(scaffold_id)
        directory.mkdir(parents=True, exist_ok=True)
        return _on_engine_host(directory)

    # ------------------------------------------------------------------ scores

    def save_scores(self, iteration: int, train_scores: dict[str, float], valid_scores: dict[str, float]) -> None:
        """Save an iteration's mean scores: two maps from scaffold id to mean."""
        for scaffold_id in (*train_scores, *valid_scores):
            check_scaffold_id(scaffold_id)
        data = scores_bytes({"train": train_scores, "valid": valid_scores})
        atomic.write_file(self._scoring_file("scores", iteration), data)

    def load_scores(self, iteration: int) -> dict[str, dict[str, float]]:
        """An iteration's mean scores by ``train`` and ``valid``. Raises FileNotFoundError if there are none yet."""
        return read_scores(self._scoring_file("scores", iteration), self._root, iteration)

    def save_details(self, details: Details) -> None:
        """Save an iteration's ``details_<iteration>.json``."""
        self._save(self._scoring_file("details", details.iteration), details)

    def load_details(self, iteration: int) -> Details:
        """An iteration's details. Raises FileNotFoundError if there are none yet."""
        return self._load(self._scoring_file("details", iteration), Details)

    def read_scoring(self, kind: str, iteration: int) -> bytes | None:
        """The bytes of an iteration's ``scores`` or ``details`` file, as they lie there; None where there is none."""
        try:
            return fresh.read(self._scoring_file(kind, iteration), self._root)
        except FileNotFoundError:
            return None

    # ------------------------------------------------------------------ plans

    def save_plan(self, plan: Plan) -> None:
        """Write an iteration's plan."""
        atomic.write_file(
            self._plans.path(plan.iteration), (plan.model_dump_json() + "\n").encode("utf-8", errors="replace")
        )

    def load_plan(self, iteration: int) -> Plan:
        """An iteration's plan, parsed again only when its file has changed. FileNotFoundError if there is none."""
        return self._plans.load(iteration)

    def load_example(self, job: Job) -> Example:
        """The example that a job is about. Raises InfraError where the plan, as it is shown here, has none."""
        return self._plans.example(job)

    def plan_iterations(self) -> list[int]:
        """The iterations that have a plan, in order."""
        names = (name for name in self._names(self._dir / "plans") if name.endswith(".json"))
        return sorted(int(name[:-5]) for name in names if name[:-5].isdecimal())

    # ------------------------------------------------------------------ the directory as it lies there

    def places(self, *folders: str) -> Iterator[Place]:
        """Every file of the experiment (or of those folders of it alone), with what it is by its place."""
        for folder in folders or ("",):
            yield from walk(self._dir, folder)

    def linked_folders(self) -> list[str]:
        """The folders of runs that are symbolic links, which none may be."""
        return linked_folders(self._dir)

    def examine(self, place: Place) -> RunResult:
        """The record at a place, each byte of it checked. Raises as ``load_result``, and FileNotFoundError."""
        path = self._dir / place.path
        return read_result(fresh.read(path, self._root), path, place.job(self.name), exact=True)

    def set_aside(self, place: Place) -> str:
        """Move a damaged file into ``damaged/``, where it is kept; where it then lies, from the directory."""
        return set_aside(self._dir, place)

    def set_aside_run_types(self, iteration: int, scaffold_id: str) -> set[str]:
        """The run types of a scaffold that a result was set aside of, whether they were done again or not."""
        return set_aside_run_types(self._dir, iteration, scaffold_id)

    # ------------------------------------------------------------------ what is left behind

    def sweep(self, session: int) -> None:
        """Remove what killed processes left behind, as session ``session`` begins: temporary files, and drafts.

        Only a draft that can be committed no more goes, because its job has a result or it was given up. Where a
        worker of an earlier session may still be at work, it goes with the end of the session that has its job done.
        """
        began = self._session_file(session).stat().st_mtime  # the volume's own time, whatever the host's is
        atomic.remove_temporaries(self._dir, began - TEMPORARY_SECONDS, but=("logs", "runs"))
        self._drafts.sweep(self.name)

    def sweep_again(self, session: int) -> None:
        """Remove the same as session ``session`` ends: what was half-written before it began is nobody's by now."""
        until = self._session_file(session).stat().st_mtime
        with suppress(OSError):  # a full volume: less is known to be old then
            until = max(until, atomic.volume_time(self._dir) - TEMPORARY_SECONDS)
        atomic.remove_temporaries(self._dir, until, but=("logs", "runs"))
        self._drafts.sweep(self.name)

    def conductor_lock(self) -> ConductorLock:
        """What a coordinator holds for as long as it conducts the experiment."""
        return ConductorLock(self._dir / "coordinator.lock")

    # ------------------------------------------------------------------ the budget

    def load_spending(self) -> Spending:
        """What of the budget is used; nothing where nothing was counted yet."""
        try:
            return self._load(self._dir / "budget.json", Spending)
        except FileNotFoundError:
            return Spending()

    def update_spending(self, change: Callable[[Spending], Spending], durable: bool = False) -> Spending:
        """Put ``change`` of what is used in its place; one at a time, over all processes and hosts."""
        with FileLock(self._dir / "budget.lock", timeout=30, poll_interval=0.002):
            spending = change(self.load_spending())
            data = atomic.canonical_json(spending.model_dump(mode="json"))
            # Durable only now and then: this is written for each model call, and every end of a process but a power
            # cut leaves it as it is.
            atomic.write_file(self._dir / "budget.json", data, durable)
        return spending

    # ------------------------------------------------------------------ paths

    def _scaffold_dir(self, scaffold_id: str) -> Path:
        return self._dir / "scaffolds" / check_scaffold_id(scaffold_id)

    def _scaffold_metadata(self, scaffold_id: str) -> tuple[ScaffoldMetadata, dict[str, str]]:
        path = self._scaffold_dir(scaffold_id) / "metadata.json"
        return read_metadata(read_bytes(path, self._root, "The file does not exist"), path)

    def _existing_scaffold_dir(self, scaffold_id: str) -> Path:
        directory = self._scaffold_dir(scaffold_id)
        try:
            self._codes.look(directory / "scaffold.py")
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(
                f"There is no scaffold {scaffold_id!r}: {directory / 'scaffold.py'} does not exist."
            ) from None
        return directory

    def _scoring_file(self, kind: str, iteration: int) -> Path:
        return self._dir / "scoring" / f"{kind}_{_iteration(iteration)}.json"


def _on_engine_host(directory: Path) -> Path:
    settings = get_settings()
    return moved(directory, settings.data_dir, settings.host_data_dir)


def _iteration(value: int) -> str:
    return str(check_iteration(value))
