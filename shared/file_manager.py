"""The experiment's directory: the only code that knows a path.

Layout, under ``<data_dir>/<name>_<timestamp>/``::

    metadata.json
    scaffolds/<scaffold_id>/{scaffold.py, metadata.json, llm_executor.py, llm_interfaces.py}
    logs/<iteration>/<scaffold_id>/<run_type>.log
    scoring/{scores,details}_<iteration>.json
    plans/<iteration>.json
    data/<split>.jsonl                                     the examples, as they were at the start
    results/<iteration>/<scaffold_id>/<run_type>.json      committed once
    quarantine/<iteration>/<scaffold_id>/<run_type>.json   why a run has no result
    scorers/<module>.py                                    a scorer of the user's own
    proposer/<file>                                        what the proposer needs to go on another day
    budget.json, budget.lock                               what of the budget is used, where there is one
    begun, cancelled                                       marks: a session was here; workers are to drop its jobs
    scripts/<digest of FILE>.yaml                          the answers of sim/script:FILE
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from filelock import FileLock
from pydantic import BaseModel

from shared import atomic
from shared.errors import CorruptFile, InvalidId, NotAnExperiment, UsageError
from shared.models.example import Example
from shared.models.experiment import ExperimentMetadata
from shared.models.ids import (
    SPLITS,
    check_experiment_name,
    check_iteration,
    check_run_type,
    check_scaffold_id,
    run_type_key,
    scaffold_id_key,
)
from shared.models.job import Job
from shared.models.plan import Plan
from shared.models.result import RunResult
from shared.models.scaffold import ScaffoldMetadata, ScaffoldResult
from shared.models.scores import Details
from shared.models.spending import Spending
from shared.records import Model, names_in, read_bytes, read_examples, read_text, seal, validated
from shared.run_log import RunLog
from shared.runtime import read_runtime_files


class ExperimentFileManager:
    """Everything one experiment keeps on the shared volume. Methods take ids; only ``get_docker_*`` give paths.

    Ids that are not valid raise InvalidId; a file that does not parse raises CorruptFile, which names it.
    """

    def __init__(self, experiment_dir: Path) -> None:
        self._dir = Path(experiment_dir)
        self._plans: dict[int, tuple[tuple[int, int], Plan]] = {}

    # ------------------------------------------------------------------ the experiment

    @classmethod
    def create(cls, data_dir: Path, name: str, now: datetime | None = None) -> Self:
        """A new, empty experiment directory ``<name>_<timestamp>``; never one that exists."""
        atomic.make_directory(Path(data_dir))
        stamp = (now or datetime.now(UTC)).strftime("%Y%m%d-%H%M%S")
        for suffix in ("", *(f"-{count}" for count in range(2, 1000))):
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
        if not (Path(experiment_dir) / "metadata.json").is_file():
            raise NotAnExperiment(f"{experiment_dir} holds no experiment: there is no metadata.json in it.")
        return cls(Path(experiment_dir).absolute())

    @classmethod
    def locate(cls, data_dir: Path, experiment: str) -> Self:
        """The experiment of that name on this host's view of the shared volume."""
        return cls.open(Path(data_dir) / check_experiment_name(experiment))

    @classmethod
    def all_in(cls, data_dir: Path) -> list[Self]:
        """The experiments of a folder, by name; none where the folder does not exist."""
        directories = (Path(data_dir) / name for name in sorted(names_in(Path(data_dir))))
        return [cls(directory) for directory in directories if (directory / "metadata.json").is_file()]

    @staticmethod
    def check_writable(data_dir: Path) -> None:
        """Write a file into the folder of experiments and remove it; raises OSError where that cannot be done."""
        probe = Path(data_dir) / f"{atomic.TEMPORARY}probe-{os.getpid()}"
        atomic.write_file(probe, b"probe")
        probe.unlink()

    @property
    def name(self) -> str:
        """The experiment's name: that of its directory."""
        return check_experiment_name(self._dir.absolute().name)

    def __str__(self) -> str:
        return str(self._dir)

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
        for name, text in read_runtime_files().items():
            atomic.write_file(directory / name, text.encode())
        metadata = result.metadata.model_dump(mode="json")
        atomic.write_file(directory / "metadata.json", atomic.canonical_json(metadata))
        # Last, because a scaffold exists when its code does.
        atomic.write_file(directory / "scaffold.py", result.code.encode("utf-8", errors="surrogatepass"))
        directory.chmod(0o755)

    def load_scaffold(self, scaffold_id: str) -> ScaffoldResult:
        """Load a scaffold. Raises FileNotFoundError if it doesn't exist."""
        directory = self._existing_scaffold_dir(scaffold_id)
        code = (directory / "scaffold.py").read_bytes().decode("utf-8", errors="surrogatepass")
        return ScaffoldResult(code=code, metadata=self._load(directory / "metadata.json", ScaffoldMetadata))

    def load_scaffold_metadata(self, scaffold_id: str) -> ScaffoldMetadata:
        """What is known of a scaffold, also where its code was not yet written. FileNotFoundError if nothing is."""
        return self._load(self._scaffold_dir(scaffold_id) / "metadata.json", ScaffoldMetadata)

    def scaffold_ids(self) -> list[str]:
        """The ids of all scaffolds, parents before their children."""
        names = names_in(self._dir / "scaffolds")
        found = [name for name in names if (self._dir / "scaffolds" / name / "scaffold.py").is_file()]
        return sorted(found, key=scaffold_id_key)

    def get_docker_scaffold_dir(self, scaffold_id: str) -> Path:
        """Absolute path of a scaffold's directory, for Docker to mount. Raises FileNotFoundError if there is none."""
        return self._existing_scaffold_dir(scaffold_id).absolute()

    def get_docker_logs_dir(self, iteration: int, scaffold_id: str) -> Path:
        """Absolute path of the directory of a scaffold's logs, for Docker to mount; made if need be."""
        directory = self._dir / "logs" / _iteration(iteration) / check_scaffold_id(scaffold_id)
        directory.mkdir(parents=True, exist_ok=True)
        return directory.absolute()

    # ------------------------------------------------------------------ scores

    def save_scores(self, iteration: int, train_scores: dict[str, float], valid_scores: dict[str, float]) -> None:
        """Save an iteration's mean scores: two maps from scaffold id to mean."""
        for scaffold_id in (*train_scores, *valid_scores):
            check_scaffold_id(scaffold_id)
        scores = {"train": train_scores, "valid": valid_scores}
        atomic.write_file(self._scoring_file("scores", iteration), atomic.canonical_json(scores))

    def load_scores(self, iteration: int) -> dict[str, dict[str, float]]:
        """An iteration's mean scores by ``train`` and ``valid``. Raises FileNotFoundError if there are none yet."""
        path = self._scoring_file("scores", iteration)
        scores: dict[str, Any] = atomic.parse_object(
            read_bytes(path, f"There are no scores of iteration {iteration}"), path
        )
        if set(scores) != {"train", "valid"} or not all(isinstance(part, dict) for part in scores.values()):
            raise CorruptFile(f"{path} is not a scoring file: it must hold the two maps train and valid.")
        return scores

    def save_details(self, details: Details) -> None:
        """Save an iteration's ``details_<iteration>.json``."""
        self._save(self._scoring_file("details", details.iteration), details)

    def load_details(self, iteration: int) -> Details:
        """An iteration's details. Raises FileNotFoundError if there are none yet."""
        return self._load(self._scoring_file("details", iteration), Details)

    # ------------------------------------------------------------------ plans

    def save_plan(self, plan: Plan) -> None:
        """Write an iteration's plan."""
        path = self._dir / "plans" / f"{_iteration(plan.iteration)}.json"
        atomic.write_file(path, (plan.model_dump_json() + "\n").encode("utf-8", errors="replace"))

    def load_plan(self, iteration: int) -> Plan:
        """An iteration's plan, parsed again only when its file has changed. FileNotFoundError if there is none."""
        path = self._dir / "plans" / f"{_iteration(iteration)}.json"
        try:
            status = path.stat()
        except FileNotFoundError:
            raise FileNotFoundError(f"There is no plan of iteration {iteration}: {path} does not exist.") from None
        version = (status.st_mtime_ns, status.st_size)
        if iteration not in self._plans or self._plans[iteration][0] != version:
            self._plans[iteration] = (version, self._load(path, Plan))
        return self._plans[iteration][1]

    def plan_iterations(self) -> list[int]:
        """The iterations that have a plan, in order."""
        return sorted(int(name[:-5]) for name in names_in(self._dir / "plans") if name[:-5].isdecimal())

    # ------------------------------------------------------------------ results

    def commit_result(self, result: RunResult) -> bool:
        """Commit a run's result, once: False if the job has one already, which then stays."""
        return atomic.write_first(self._result_file("results", result.job), seal(result))

    def replace_result(self, result: RunResult) -> None:
        """Put a re-scored result in the place of the committed one."""
        atomic.write_file(self._result_file("results", result.job), seal(result))

    def load_result(self, job: Job) -> RunResult | None:
        """The job's committed result; None where there is none."""
        return self._load_result("results", job)

    def is_committed(self, job: Job) -> bool:
        """Whether the job has a committed result."""
        return self._result_file("results", job).exists()

    def committed_run_types(self, iteration: int, scaffold_id: str) -> list[str]:
        """The run types of a scaffold that have a committed result, in order."""
        return self._run_types("results", iteration, scaffold_id)

    def results(self, iteration: int, scaffold_id: str) -> Iterator[RunResult]:
        """The committed results of a scaffold in the order of their run types, read one at a time."""
        for run_type in self.committed_run_types(iteration, scaffold_id):
            job = Job(experiment=self.name, iteration=iteration, scaffold_id=scaffold_id, run_type=run_type)
            result = self.load_result(job)
            if result is not None:
                yield result

    def quarantine(self, result: RunResult) -> None:
        """Keep why a job has no result: its last attempt, an ``infra_error``. A later attempt replaces it."""
        atomic.write_file(self._result_file("quarantine", result.job), seal(result))

    def release(self, job: Job) -> None:
        """Take a job out of quarantine."""
        self._result_file("quarantine", job).unlink(missing_ok=True)

    def load_quarantined(self, job: Job) -> RunResult | None:
        """The last failed attempt of a quarantined job; None where it is not in quarantine."""
        return self._load_result("quarantine", job)

    def quarantined_run_types(self, iteration: int, scaffold_id: str) -> list[str]:
        """The quarantined run types of a scaffold, in order."""
        return self._run_types("quarantine", iteration, scaffold_id)

    def quarantined_count(self, iteration: int) -> int:
        """How many runs of an iteration are in quarantine, trials of proposed scaffolds among them."""
        scaffold_ids = names_in(self._dir / "quarantine" / _iteration(iteration))
        return sum(len(self.quarantined_run_types(iteration, scaffold_id)) for scaffold_id in scaffold_ids)

    # ------------------------------------------------------------------ logs

    def open_log(self, iteration: int, scaffold_id: str, run_type: str) -> RunLog:
        """The run's log, to be written at its end."""
        path = self._log_file(iteration, scaffold_id, run_type)
        try:
            return RunLog(path.open("ab", buffering=0))
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            return RunLog(path.open("ab", buffering=0))

    def read_log(self, iteration: int, scaffold_id: str, run_type: str, offset: int = 0) -> tuple[str, int]:
        """The log's text from byte ``offset``, and the offset of its end. Raises FileNotFoundError if there is none."""
        path = self._log_file(iteration, scaffold_id, run_type)
        try:
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read()
        except FileNotFoundError:
            raise FileNotFoundError(f"There is no log of {run_type}: {path} does not exist.") from None
        return data.decode("utf-8", errors="replace"), offset + len(data)

    # ------------------------------------------------------------------ what a user's spec brings along; cancelling

    def save_model_script(self, script: str, text: str) -> None:
        """Keep the answers of the model ``sim/script:<script>``, so that every worker finds them."""
        atomic.write_file(self._model_script_file(script), text.encode())

    def load_model_script(self, script: str) -> str | None:
        """The kept answers of the model ``sim/script:<script>``; None where none were kept."""
        path = self._model_script_file(script)
        return path.read_text(encoding="utf-8") if path.is_file() else None

    def save_scorer(self, module: str, source: str) -> None:
        """Keep the source of a user's scorer module, so that every worker finds it."""
        atomic.write_file(self._scorer_file(module), source.encode())

    def load_scorer(self, module: str) -> str | None:
        """The source of a user's scorer module; None where it is to be imported from what is installed."""
        path = self._scorer_file(module)
        return path.read_text(encoding="utf-8") if path.is_file() else None

    def save_data(self, split: str, examples: Iterable[Example]) -> None:
        """Keep a split's examples, answers and all: the experiment needs its datasets no more."""
        if split not in SPLITS:
            raise InvalidId(f"{split!r} is not a split; the splits are {', '.join(SPLITS)}.")
        lines = (f"{example.model_dump_json()}\n".encode("utf-8", errors="replace") for example in examples)
        atomic.write_file(self._dir / "data" / f"{split}.jsonl", b"".join(lines))

    def load_data(self) -> dict[str, tuple[Example, ...]]:
        """The kept examples by split. Raises CorruptFile where a line is none."""
        paths = {split: self._dir / "data" / f"{split}.jsonl" for split in SPLITS}
        return {split: read_examples(path) for split, path in paths.items() if path.is_file()}

    def save_proposer_file(self, name: str, text: str) -> None:
        """Keep a text of the proposer's. ``name`` is a plain file name of letters, digits, '.', '_' and '-'."""
        path = self._dir / "proposer" / check_experiment_name(name)
        atomic.write_file(path, text.encode("utf-8", errors="replace"))

    def load_proposer_files(self) -> dict[str, str]:
        """The proposer's texts by name. Raises CorruptFile where one of them is no text."""
        folder = self._dir / "proposer"
        return {name: read_text(folder / name) for name in sorted(names_in(folder))}

    def begin(self) -> bool:
        """Note that work has begun; whether this is the first time."""
        return atomic.write_first(self._dir / "begun", b"")

    def cancel(self) -> None:
        """Mark the experiment as cancelled: workers drop its jobs."""
        atomic.write_file(self._dir / "cancelled", b"")

    def uncancel(self) -> None:
        """Take the mark away."""
        (self._dir / "cancelled").unlink(missing_ok=True)

    def is_cancelled(self) -> bool:
        """Whether the experiment is marked as cancelled."""
        return (self._dir / "cancelled").exists()

    # ------------------------------------------------------------------ the budget

    def load_spending(self) -> Spending:
        """What of the budget is used; nothing where nothing was counted yet."""
        path = self._dir / "budget.json"
        return self._load(path, Spending) if path.exists() else Spending()

    def update_spending(self, change: Callable[[Spending], Spending], durable: bool = False) -> Spending:
        """Put ``change`` of what is used in its place; one at a time, over all processes and hosts."""
        with FileLock(self._dir / "budget.lock", timeout=30, poll_interval=0.002):
            spending = change(self.load_spending())
            data = atomic.canonical_json(spending.model_dump(mode="json"))
            # Durable only now and then: this is written for each model call, and every end of a process but a power
            # cut leaves it as it is.
            atomic.write_file(self._dir / "budget.json", data, durable)
        return spending

    # ------------------------------------------------------------------ is the volume shared?

    def ask_probe(self, token: str) -> None:
        """Leave a token that workers are asked to find."""
        atomic.write_file(self._dir / "token", token.encode())

    def answer_probe(self, token: str, worker: str) -> str:
        """``ok`` once the token was found and an answer written beside it, or a sentence that says what is wrong."""
        path = self._dir / "token"
        try:
            found = path.read_bytes()
        except FileNotFoundError:
            return f"{path} does not exist here: this host's data directory is not the coordinator's."
        if found != token.encode():
            return f"{path} holds another token: this host's data directory is not the coordinator's."
        atomic.write_file(self._dir / f"answer-{check_experiment_name(worker)}", token.encode())
        return "ok"

    def end_probe(self) -> list[str]:
        """The workers whose answers are seen here; the probe's directory is removed."""
        answers = [name.removeprefix("answer-") for name in names_in(self._dir) if name.startswith("answer-")]
        if self._dir.exists():
            shutil.rmtree(self._dir)
        return sorted(answers)

    # ------------------------------------------------------------------ paths

    def _scaffold_dir(self, scaffold_id: str) -> Path:
        return self._dir / "scaffolds" / check_scaffold_id(scaffold_id)

    def _existing_scaffold_dir(self, scaffold_id: str) -> Path:
        directory = self._scaffold_dir(scaffold_id)
        if not (directory / "scaffold.py").is_file():
            raise FileNotFoundError(
                f"There is no scaffold {scaffold_id!r}: {directory / 'scaffold.py'} does not exist."
            )
        return directory

    def _scoring_file(self, kind: str, iteration: int) -> Path:
        return self._dir / "scoring" / f"{kind}_{_iteration(iteration)}.json"

    def _result_file(self, kind: str, job: Job) -> Path:
        return self._dir / kind / str(job.iteration) / job.scaffold_id / f"{job.run_type}.json"

    def _log_file(self, iteration: int, scaffold_id: str, run_type: str) -> Path:
        name = f"{check_run_type(run_type)}.log"
        return self._dir / "logs" / _iteration(iteration) / check_scaffold_id(scaffold_id) / name

    def _scorer_file(self, module: str) -> Path:
        if not all(part.isidentifier() for part in module.split(".")):
            raise UsageError(f"{module!r} is not the name of a Python module; write the scorer as module:function.")
        return self._dir / "scorers" / f"{module}.py"

    def _model_script_file(self, script: str) -> Path:
        # ``script`` is a path of the user's, on the user's machine; here it is a name and no more.
        return self._dir / "scripts" / f"{hashlib.sha256(os.fsencode(script)).hexdigest()[:16]}.yaml"

    def _run_types(self, kind: str, iteration: int, scaffold_id: str) -> list[str]:
        directory = self._dir / kind / _iteration(iteration) / check_scaffold_id(scaffold_id)
        return sorted((name[:-5] for name in names_in(directory) if name.endswith(".json")), key=run_type_key)

    # ------------------------------------------------------------------ records

    def _save(self, path: Path, model: BaseModel) -> None:
        atomic.write_file(path, atomic.canonical_json(model.model_dump(mode="json")))

    def _load(self, path: Path, model: type[Model]) -> Model:
        return validated(model, atomic.parse_object(read_bytes(path, "The file does not exist"), path), path)

    def _load_result(self, kind: str, job: Job) -> RunResult | None:
        path = self._result_file(kind, job)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        result = validated(RunResult, atomic.unseal(data, path), path)
        if (result.iteration, result.scaffold_id, result.run_type) != (job.iteration, job.scaffold_id, job.run_type):
            raise CorruptFile(f"{path} is the result of {result.job}: it was moved here. Remove it.")
        return result


def _iteration(value: int) -> str:
    return str(check_iteration(value))
