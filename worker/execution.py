"""Running one scaffold on one input: by hand (``execute_scaffold``) or as a job that is scored and committed."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime
from functools import lru_cache, partial

from shared.budget import Budget
from shared.drafts import Draft
from shared.error_words import describe
from shared.errors import HostTrouble, InfraError, OutOfBudget, ScaffoldryError, Superseded
from shared.file_manager import ExperimentFileManager
from shared.job_key import JobKeys
from shared.model_names import ModelRef, parse_model
from shared.models import (
    Example,
    ExperimentMetadata,
    ExperimentSpec,
    Job,
    Labels,
    RunOutcome,
    RunRequest,
    RunResult,
    ScaffoldExecutionResult,
    ScaffoldMount,
    Status,
    Usage,
)
from shared.models.ids import PREFLIGHT, check_iteration, check_run_type, split_of
from shared.models.result import without_paths
from shared.models.spec import ExecutorSpec
from shared.run_log import RunLog
from shared.scorers import build_scorer
from shared.scorers.base import Scorer
from shared.settings import get_settings
from worker.attempt import Attempt, attempt_at
from worker.gateway.server import CallRecord, Gateway, GatewayConfig, open_gateway
from worker.programs import run_program
from worker.sandbox.base import Sandbox
from worker.sandbox.registry import build_sandbox
from worker.scoring import Scored, score_outcome
from worker.volume import docker_gateway_dir, use_host_paths


def execute_scaffold(
    file_manager: ExperimentFileManager,
    scaffold_id: str,
    iteration: int,
    run_type: str,
    input_string: str,
    model: str,
    timeout: int = 120,
) -> ScaffoldExecutionResult:
    """Execute a scaffold in a Docker container with the given input.

    Needs neither Celery nor a spec; the run is logged to ``logs/<iteration>/<scaffold_id>/<run_type>.log`` and is
    not committed.

    Args:
        file_manager: the experiment that holds the scaffold
        scaffold_id: scaffold to execute
        iteration: iteration number, for the log
        run_type: type of run (``train_0``, ``valid_1``), for the log
        input_string: what ``process_input`` is given
        model: the model the scaffold may call (``local/smollm2``, ``sim/echo``, ``openai/...``, or an alias of the
            experiment's spec)
        timeout: most seconds the run may take

    Raises FileNotFoundError if there is no such scaffold, InvalidId, UnknownName (model), SandboxUnavailable.
    """
    check_run_type(run_type)
    check_iteration(iteration)
    file_manager.get_docker_scaffold_dir(scaffold_id)
    try:
        models = file_manager.load_metadata().spec.models
    except FileNotFoundError:
        models = {}
    attempt = Attempt(
        job=Job(experiment=file_manager.name, iteration=iteration, scaffold_id=scaffold_id, run_type=run_type),
        # Not a worker's name: what is asked of the containers of a worker is not about these.
        worker=f"{get_settings().worker_name}.by-hand.{os.getpid()}",
        executor=ExecutorSpec(model=model, timeout=timeout),
        models=models,
    )
    parse_model(model, models)
    sandbox = sandbox_named("docker")
    sandbox.check()
    started = datetime.now(UTC)
    with file_manager.open_log(iteration, scaffold_id, run_type) as log:
        log.start(attempt.job, attempt.number, attempt.worker, model, input_string)
        try:
            outcome, usage = run_sandboxed(file_manager, attempt, input_string, sandbox, log)
        except HostTrouble as error:
            return ScaffoldExecutionResult(**_our_failure(error).model_dump())
        unscored = Scored(status=outcome.status, score=None, error_message=outcome.error_message)
        log.finish(_result(attempt, "-", outcome, usage, unscored, started))
    sandbox.settle()
    return ScaffoldExecutionResult(**outcome.model_dump())


def run_job(file_manager: ExperimentFileManager, job: Job, number: int, worker: str, session: int = 1) -> RunResult:
    """Run a job, score it and commit the result; the committed result, whoever committed it first.

    ``number`` and ``session`` say which attempt it is. A result whose status is ``infra_error`` is not committed.
    Raises ScaffoldryError or OSError where the job cannot even be looked up (no such plan or scaffold on this host's
    volume). Raises OutOfBudget where the experiment's budget does not let it start, or refused one of its calls,
    Superseded where the attempt was given up before it was done, and HostTrouble where the host lost the run: that says
    nothing of the program, and nothing is committed.
    """
    committed = file_manager.load_result(job)
    if committed is not None:
        return committed
    metadata = _metadata(file_manager)
    _check_budget(file_manager, metadata.spec)
    example = file_manager.load_example(job)
    sandbox = sandbox_named(metadata.spec.sandbox)
    attempt = attempt_at(job, number, worker, metadata.spec, example.repeat)
    started = datetime.now(UTC)
    with (
        file_manager.begin_attempt(job, number, session) as draft,
        file_manager.open_log(job.iteration, job.scaffold_id, job.run_type) as log,
    ):
        log.start(job, number, worker, attempt.executor.model, example.input)
        outcome, usage = run_sandboxed(file_manager, attempt, example.input, sandbox, log)
        scored = _scored(file_manager, attempt, outcome, example, log)
        key = _job_keys(file_manager).of(file_manager.scaffold_digest(job.scaffold_id), example, job.run_type)
        result = _result(attempt, example.id, outcome, usage, scored, started, key)
        log.finish(result)
        if not result.status.counts or _committed(draft, result, log):
            return result
    return file_manager.load_result(job) or result


def _committed(draft: Draft, result: RunResult, log: RunLog) -> bool:
    """Whether the result is the one that counts; if it is not, its log says so. Raises Superseded, OSError."""
    try:
        first = draft.commit(result)
    except Superseded as error:
        log.abandon(str(error))
        raise
    except OSError as error:
        with suppress(OSError):  # what it does not take either is no matter
            log.abandon(f"The result could not be committed: {without_paths(describe(error)[0])}")
        raise
    if not first:
        log.abandon("The run was done twice, and the other result was there first.")
    return first


def _scored(
    file_manager: ExperimentFileManager, attempt: Attempt, outcome: RunOutcome, example: Example, log: RunLog
) -> Scored:
    """What the scorer says. Raises HostTrouble where the host lost a program of the scorer's; the log says so."""
    if split_of(attempt.job.run_type) == PREFLIGHT:
        return Scored(status=outcome.status, score=None, error_message=outcome.error_message)
    try:
        return score_outcome(experiment_scorer(file_manager, attempt.worker), outcome, example)
    except HostTrouble as error:
        log.abandon(str(error))
        raise
    except InfraError as error:
        return Scored(status=Status.INFRA_ERROR, score=None, error_message=str(error))


def _check_budget(file_manager: ExperimentFileManager, spec: ExperimentSpec) -> None:
    budget = Budget.of(file_manager, spec.budget)
    reason = budget.reached() if budget else None
    if reason is not None:
        raise OutOfBudget(reason)


def run_sandboxed(
    file_manager: ExperimentFileManager, attempt: Attempt, input_string: str, sandbox: Sandbox, log: RunLog
) -> tuple[RunOutcome, Usage]:
    """Run the program with its gateway open; what it did, and what it asked of its model. An InfraError is an outcome.

    Raises OutOfBudget where a call was refused for the experiment's budget, HostTrouble where the host lost the run.
    """
    directory = file_manager.get_docker_scaffold_dir(attempt.job.scaffold_id)
    mount = ScaffoldMount(scaffold_id=attempt.job.scaffold_id, directory=directory)
    limits = attempt.executor.limits
    try:
        with _gateway(file_manager, attempt, sandbox, log.note) as gateway:
            request = RunRequest(
                input_string=input_string,
                model=attempt.executor.model if gateway else "",
                gateway_dir=docker_gateway_dir(gateway.directory) if gateway else None,
            )
            with sandbox.open(mount, limits, attempt.labels) as session:
                outcome = session.run(request, on_output=log.output)
            if gateway is None:
                return outcome, Usage()
            if gateway.experiment_budget_exceeded:
                raise OutOfBudget(gateway.experiment_budget_exceeded)
            return with_gateway_verdict(outcome, gateway), gateway.usage()
    except (OutOfBudget, HostTrouble) as error:
        log.abandon(str(error))
        raise
    except (ScaffoldryError, OSError) as error:
        return _our_failure(error), Usage()


def _our_failure(error: Exception) -> RunOutcome:
    return RunOutcome(status=Status.INFRA_ERROR, error_message=str(error))


def with_gateway_verdict(outcome: RunOutcome, gateway: Gateway) -> RunOutcome:
    """What the gateway knows that the sandbox does not: a budget overrun, or a model that was out of reach."""
    # First, because a program that tries again and again while the model is away uses up its budget with that.
    if gateway.provider_failed:
        message = f"The model could not be reached: {gateway.provider_failed}"
        return outcome.model_copy(update={"status": Status.INFRA_ERROR, "error_message": message})
    if gateway.budget_exceeded:
        message = "The run asked for more model calls than executor.max_calls allows."
        return outcome.model_copy(update={"status": Status.BUDGET_EXCEEDED, "error_message": message})
    return outcome


def _gateway(
    file_manager: ExperimentFileManager, attempt: Attempt, sandbox: Sandbox, note: Callable[[str], None]
) -> AbstractContextManager[Gateway | None]:
    if not sandbox.uses_gateway:
        return nullcontext()
    executor = attempt.executor
    config = GatewayConfig(
        model=_model(file_manager, attempt),
        seed=attempt.seed,
        temperature=executor.temperature,
        max_tokens=executor.max_tokens,
        max_calls=executor.max_calls,
        timeout=executor.timeout,
    )
    return open_gateway(
        config,
        get_settings().socket_dir,
        on_call=lambda call: note(describe_call(call)),
        budget=Budget.of(file_manager, attempt.budget),
    )


def _model(file_manager: ExperimentFileManager, attempt: Attempt) -> ModelRef:
    """The attempt's model; one that answers from a script has it from the experiment, where that keeps it."""
    ref = parse_model(attempt.executor.model, attempt.models)
    text = file_manager.load_model_script(ref.script) if ref.script is not None else None
    return ref.model_copy(update={"script_text": text})


def describe_call(call: CallRecord) -> str:
    """A model call as a line of the run's log."""
    tokens = f"{call.input_tokens} tokens in, {call.output_tokens} out, {call.seconds:.2f} s"
    return f"model call {call.number}: {tokens}" + (f", {call.error} ({call.status})" if call.error else "")


_sandboxes: dict[str, Sandbox] = {}


def sandbox_named(name: str) -> Sandbox:
    """This process's sandbox of that name, with its connections; directories have the names that it has for them."""
    if name not in _sandboxes:
        _sandboxes[name] = build_sandbox(name)
        use_host_paths(_sandboxes[name])
    return _sandboxes[name]


def settle_sandboxes() -> None:
    """Return once nothing is left of the runs that this process has done."""
    for sandbox in _sandboxes.values():
        sandbox.settle()


@lru_cache(maxsize=16)
def _metadata(file_manager: ExperimentFileManager) -> ExperimentMetadata:
    # It never changes once its experiment has begun.
    return file_manager.load_metadata()


@lru_cache(maxsize=16)
def _job_keys(file_manager: ExperimentFileManager) -> JobKeys:
    return JobKeys(_metadata(file_manager))


def experiment_scorer(file_manager: ExperimentFileManager, worker: str) -> Scorer:
    """The experiment's scorer, with a sandbox for programs it has to run. Raises SpecError, UnknownName."""
    module, colon, _ = _metadata(file_manager).spec.scorer.name.partition(":")
    # Read each time: ``scaffoldry score`` may have put a mended one in its place since the last run.
    return _scorer(file_manager, worker, file_manager.load_scorer(module) if colon else None)


@lru_cache(maxsize=16)
def _scorer(file_manager: ExperimentFileManager, worker: str, source: str | None) -> Scorer:
    spec = _metadata(file_manager).spec
    labels = Labels(experiment=file_manager.name, job="scorer", worker=worker)
    runner = partial(run_program, sandbox_named(spec.sandbox), labels)
    return build_scorer(spec.scorer, run_program=runner, module_source=source)


def _result(
    attempt: Attempt,
    example_id: str,
    outcome: RunOutcome,
    usage: Usage,
    scored: Scored,
    started: datetime,
    key: str | None = None,
) -> RunResult:
    return RunResult(
        key=key,
        **attempt.job.model_dump(),
        example_id=example_id,
        status=scored.status,
        score=scored.score,
        feedback=scored.feedback,
        output=outcome.output,
        exit_code=outcome.exit_code,
        execution_time=round(outcome.execution_time, 4),
        error_message=scored.error_message or outcome.error_message,
        usage=usage,
        attempt=attempt.number,
        worker=attempt.worker,
        started_at=started,
        finished_at=datetime.now(UTC),
    )
