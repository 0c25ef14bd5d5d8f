"""``selftest``: break things on purpose on this machine, and see that every run counts once."""

from pathlib import Path
from typing import Annotated

import typer

from coordinator.cli.guard import say
from coordinator.cli.options import AsJson
from coordinator.cli.signals import interruptible_once


def selftest(
    rows: Annotated[
        str | None,
        typer.Option(
            envvar="SCAFFOLDRY_SELFTEST_ROWS",
            metavar="N,N",
            help="The rows to run.  [default: all]",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(envvar="SCAFFOLDRY_SELFTEST_SEEDS", min=1, metavar="N", help="Runs of each row.")
    ] = 3,
    first_seed: Annotated[
        int,
        typer.Option(
            envvar="SCAFFOLDRY_SELFTEST_FIRST_SEED",
            min=0,
            metavar="K",
            help="The first of these; the others follow it.",
        ),
    ] = 0,
    jobs: Annotated[
        int, typer.Option(envvar="SCAFFOLDRY_SELFTEST_JOBS", min=20, metavar="N", help="Jobs of each run.")
    ] = 300,
    seconds: Annotated[
        float,
        typer.Option(
            envvar="SCAFFOLDRY_SELFTEST_SECONDS", min=0.5, metavar="S", help="Length of each tenth job, in seconds."
        ),
    ] = 10.0,
    sandbox: Annotated[
        str,
        typer.Option(
            envvar="SCAFFOLDRY_SELFTEST_SANDBOX",
            metavar="NAME",
            help="docker, or process, where the rows about containers are left out.",
        ),
    ] = "docker",
    soak_minutes: Annotated[
        float, typer.Option(envvar="SCAFFOLDRY_SELFTEST_SOAK_MINUTES", min=0.5, metavar="M", help="Length of row 22.")
    ] = 30.0,
    mutate: Annotated[
        str | None,
        typer.Option(
            envvar="SCAFFOLDRY_SELFTEST_MUTATE",
            metavar="NAME",
            help="Switch a mechanism off (fence, link, cap, watchdog, lock or all), and run the rows that must notice.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            envvar="SCAFFOLDRY_SELFTEST_OUT",
            metavar="FILE.md",
            help="Write the page, with what earlier calls found kept beside it.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep", envvar="SCAFFOLDRY_SELFTEST_KEEP", help="Leave the experiments and logs.", show_default=False
        ),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Break things on purpose on this machine, and see that every run counts once.

    Starts Redis servers, workers and coordinators of its own, and containers on
    this machine's engine. Exits with 1 where a row did not pass, and with 3
    where what all of them need is missing.
    """
    from coordinator.selftest.calls import Request, run_selftest

    request = Request(
        rows=rows, seeds=seeds, first_seed=first_seed, jobs=jobs, seconds=seconds, sandbox=sandbox,
        soak_minutes=soak_minutes, mutate=mutate, out=out, keep=keep, as_json=as_json,
    )  # fmt: skip
    with interruptible_once(lambda: say("Interrupted; what was started is being ended, which takes up to a minute.")):
        return run_selftest(request, say)
