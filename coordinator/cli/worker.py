"""``worker``: serve jobs from the broker on this machine."""

from typing import Annotated

import typer

from coordinator.cli.options import BrokerUrl, Concurrency, DataDir, broker_url_or_set, data_dir_or_set


def worker(
    broker_url: BrokerUrl = None,
    data_dir: DataDir = None,
    concurrency: Concurrency = None,
    name: Annotated[
        str | None,
        typer.Option(
            envvar="SCAFFOLDRY_WORKER_NAME",
            metavar="NAME",
            help="The worker's name.  [default: the host's]",
            show_default=False,
        ),
    ] = None,
    sandbox: Annotated[
        str,
        typer.Option(envvar="SCAFFOLDRY_SANDBOX", metavar="NAME", help="docker, or process (for trusted code only)."),
    ] = "docker",
    drain: Annotated[
        bool,
        typer.Option(
            "--drain",
            envvar="SCAFFOLDRY_DRAIN",
            help="Have this host's workers of that name take no new job; wait until they have finished and gone.",
            show_default=False,
        ),
    ] = False,
) -> int:
    """Serve jobs from the broker until stopped.

    SIGTERM ends it like --drain: it takes no new job, finishes those it has, and
    leaves. SIGQUIT ends it at once.
    """
    from coordinator.report.words import command
    from coordinator.worker_tools import become_worker
    from shared.errors import UsageError
    from shared.models.ids import check_worker_name

    url = broker_url_or_set(broker_url)
    if url is None:
        raise UsageError(
            "A worker needs a broker to take its jobs from: set SCAFFOLDRY_BROKER_URL or give --broker-url "
            f"redis://HOST:6379/0. (Without a broker, `{command('run')}` brings a worker of its own.)"
        )
    arguments = ["drain"] if drain else ["run", "--sandbox", sandbox]
    arguments += ["--concurrency", str(concurrency)] if concurrency is not None and not drain else []
    arguments += ["--name", check_worker_name(name)] if name is not None else []
    become_worker(*arguments, SCAFFOLDRY_BROKER_URL=url, SCAFFOLDRY_DATA_DIR=str(data_dir_or_set(data_dir).absolute()))
