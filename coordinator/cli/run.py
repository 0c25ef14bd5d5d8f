"""``run`` and ``resume``: an experiment from its spec, or from where it stands, to its end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coordinator.cli.guard import say
from coordinator.cli.options import (
    AsJson,
    BrokerUrl,
    Concurrency,
    DataDir,
    Directory,
    MetricsPort,
    NoWait,
    broker_url_or_set,
    concurrency_or_set,
    data_dir_or_set,
)
from shared.errors import ScaffoldryError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from coordinator.experiment import Prepared
    from coordinator.report.base import Reporter
    from shared.file_manager import ExperimentFileManager
    from shared.models import ExperimentSpec, ImageInfo


class MachineCheckFailed(ScaffoldryError):
    """The worker's check has said what is wrong with this machine; its exit code is ours."""

    def __init__(self, exit_code: int) -> None:
        from coordinator.report.words import command

        super().__init__(f"Nothing was started. `{command('doctor')}` looks at this machine as a whole.")
        self.exit_code = exit_code


def run(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="The experiment's YAML file.", show_default=False)],
    name: Annotated[
        str | None,
        typer.Option(
            envvar="SCAFFOLDRY_NAME", metavar="NAME", help="Name it otherwise than its spec.", show_default=False
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            envvar="SCAFFOLDRY_SET",
            metavar="A.B=C",
            help="Set a field of the spec; may be repeated.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            envvar="SCAFFOLDRY_DRY_RUN",
            help="Show the resolved spec and what it may come to, and do nothing.",
            show_default=False,
        ),
    ] = False,
    broker_url: BrokerUrl = None,
    data_dir: DataDir = None,
    concurrency: Concurrency = None,
    no_wait: NoWait = False,
    metrics_port: MetricsPort = None,
    as_json: AsJson = False,
) -> int:
    """Run an experiment from its spec to its scores."""
    with interruptible():
        from coordinator.experiment import create, prepare
        from coordinator.monitoring.metrics_page import metrics_page

        prepared = prepare(spec, tuple(set_ or ()), name)
        for warning in prepared.warnings:
            say(f"Warning: {warning}")
        if dry_run:
            _show_plan(prepared, as_json)
            return 0
        url = broker_url_or_set(broker_url)
        image = _check_machine(prepared.loaded.spec, url)
        with metrics_page(metrics_port) as metrics:
            folder = data_dir_or_set(data_dir)
            files = create(prepared, folder, image)
            del prepared  # its datasets would lie in memory for as long as the run lasts
            with files.conductor_lock().held():
                return _conduct(files, folder, url, concurrency_or_set(concurrency), not no_wait, metrics, as_json)


def resume(
    directory: Directory,
    ignore_spec_change: Annotated[
        bool,
        typer.Option(
            "--ignore-spec-change",
            envvar="SCAFFOLDRY_IGNORE_SPEC_CHANGE",
            help="Go on with the spec it was started with, whatever its file says now.",
            show_default=False,
        ),
    ] = False,
    broker_url: BrokerUrl = None,
    concurrency: Concurrency = None,
    no_wait: NoWait = False,
    metrics_port: MetricsPort = None,
    as_json: AsJson = False,
) -> int:
    """Go on with an experiment where it stopped. No finished run is repeated."""
    with interruptible():
        from coordinator.monitoring.metrics_page import metrics_page

        url = broker_url_or_set(broker_url)
        with _admitted(directory, ignore_spec_change) as files:
            with _telling_where(files):
                _check_machine(files.load_metadata().spec, url)
            folder = directory.absolute().parent
            with metrics_page(metrics_port) as metrics:
                return _conduct(files, folder, url, concurrency_or_set(concurrency), not no_wait, metrics, as_json)


@contextmanager
def _admitted(directory: Path, ignore_spec_change: bool) -> "Iterator[ExperimentFileManager]":
    """The experiment, if it is whole, its spec unchanged and no other coordinator at it; ours while in the context.

    Where it is not, nothing was changed.
    """
    from coordinator.experiment import open_for_resume
    from coordinator.verify import admit, set_aside
    from shared.file_manager import ExperimentFileManager

    files = ExperimentFileManager.open(directory)
    with files.conductor_lock().held_if_there() as lock:
        damaged = admit(files, say)
        lock.take()
        open_for_resume(directory, ignore_spec_change)
        set_aside(files, damaged, say)
        yield files


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP all stop an experiment the way Ctrl-C does.

    SIGINT is listened to even where a shell has started us with it ignored, as scripts do with background jobs: an
    experiment that ``kill -INT`` cannot stop would have to be killed. An ignored SIGHUP (nohup) stays ignored.
    """
    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    old = {number: signal.signal(number, signal.default_int_handler) for number in signals}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _reporter(
    files: "ExperimentFileManager", url: str | None, metrics: "CollectorRegistry | None", as_json: bool
) -> "Reporter":
    """Who is told of the experiment; with workers elsewhere it says where Flower shows them at it."""
    from coordinator.cli.reading import scaffold_names
    from coordinator.monitoring.links import experiment_link, flower_url
    from coordinator.report.make import make_reporter

    reporter = make_reporter(as_json, scaffold_names(files))
    flower = flower_url() if url is not None else None
    if flower is not None:
        reporter.say(f"Flower: {experiment_link(flower, files.name)}")
    if metrics is None:
        return reporter
    from coordinator.monitoring.metrics import MetricsReporter
    from coordinator.report.both import Both

    return Both(reporter, MetricsReporter(files.name, metrics))


def _conduct(
    files: "ExperimentFileManager",
    data_dir: Path,
    url: str | None,
    concurrency: int,
    wait: bool,
    metrics: "CollectorRegistry | None",
    as_json: bool,
) -> int:
    from coordinator.session import run_session

    with _telling_where(files):
        reporter = _reporter(files, url, metrics, as_json)
        try:
            summary = run_session(
                files, reporter, data_dir=data_dir, broker_url=url, concurrency=concurrency, wait=wait
            )
        finally:
            reporter.close()
    return summary.exit_code


@contextmanager
def _telling_where(files: "ExperimentFileManager") -> Iterator[None]:
    """Whatever goes wrong inside, its message ends with the directory and the line that resumes it."""
    from coordinator.report.words import command

    try:
        yield
    except BaseException as error:
        error.add_note(
            f"Experiment: {files}\nGo on with it; no finished run is repeated: {command('resume', str(files))}"
        )
        raise


def _check_machine(spec: "ExperimentSpec", url: str | None) -> "ImageInfo | None":
    """Find out before anything is written whether runs can be started; the image they will run in.

    With a broker the workers may be elsewhere, and have the engine and the keys: this machine's engine is asked for the
    image, but need not answer.
    """
    import json

    from coordinator.proposers import proposer_models
    from coordinator.worker_tools import call_worker
    from shared.models import ImageInfo

    if url is not None:
        from coordinator.monitoring.links import flower_url
        from shared.queue import check_broker, make_app, without_password

        flower_url()  # one that is none is found out now
        check_broker(make_app(url), without_password(url))
    question = ["check", "--sandbox", spec.sandbox, "--json"]
    if url is None:
        aliases = {alias: model.model_dump(mode="json") for alias, model in spec.models.items()}
        proposing = proposer_models(spec.proposer) if spec.proposer is not None else ()
        for model in (spec.executor.model, *proposing):
            question += ["--model", model]
        question += ["--aliases", json.dumps(aliases)]
    done = call_worker(*question, capture=True, quiet=url is not None)
    if done.returncode == 0:
        image = json.loads(done.stdout)["image"]
        return ImageInfo.model_validate(image) if image else None
    if url is None:
        raise MachineCheckFailed(done.returncode)
    return None


def _show_plan(prepared: "Prepared", as_json: bool) -> None:
    from coordinator.estimate import estimate, sentences
    from coordinator.report.json_report import json_line
    from coordinator.spec import dump_spec

    spec = prepared.loaded.spec
    found = estimate(spec, prepared.data)
    if as_json:
        record = {
            "event": "dry_run",
            "runs": found.runs,
            "calls": found.calls,
            "tokens": found.tokens,
            "usd": found.usd,
        }
        details = found.model_dump(mode="json", include={"phases", "models"})
        typer.echo(json_line({**record, **details, "spec": spec.model_dump(mode="json")}), nl=False)
    else:
        typer.echo(dump_spec(spec), nl=False)
    for sentence in sentences(found):
        say(sentence)
    say("Nothing was run or written.")
