"""The options that several commands share, and what they mean when they are not given."""

from pathlib import Path
from typing import Annotated

import typer

# Not asked by typer whether it may be read: the file manager's own refusal says what to do.
Directory = Annotated[
    Path, typer.Argument(metavar="DIR", help="The experiment's directory.", readable=False, show_default=False)
]
ScaffoldIdArgument = Annotated[str, typer.Argument(metavar="ID", help="The scaffold's id.", show_default=False)]
AsJson = Annotated[
    bool, typer.Option("--json", envvar="SCAFFOLDRY_JSON", help="One JSON object a line.", show_default=False)
]
BrokerUrl = Annotated[
    str | None,
    typer.Option(
        envvar="SCAFFOLDRY_BROKER_URL",
        metavar="URL",
        help="Redis where the workers listen; without one each run brings a worker of its own.",
        show_default=False,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="SCAFFOLDRY_DATA_DIR",
        metavar="DIR",
        help="The folder of experiments, on the volume that all hosts share.  [default: experiments]",
        show_default=False,
    ),
]
Concurrency = Annotated[
    int | None,
    typer.Option(
        envvar="SCAFFOLDRY_CONCURRENCY",
        min=1,
        max=1024,
        metavar="N",
        help="Runs at once in one worker.  [default: two for each processor]",
        show_default=False,
    ),
]
NoWait = Annotated[
    bool,
    typer.Option(
        "--no-wait",
        envvar="SCAFFOLDRY_NO_WAIT",
        help="Exit with 3 where no worker can serve, rather than wait for one.",
        show_default=False,
    ),
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        envvar="SCAFFOLDRY_METRICS_PORT",
        min=0,
        max=65535,
        metavar="N",
        help="Show Prometheus metrics on that port; 0 chooses one.",
        show_default=False,
    ),
]
Iteration = Annotated[
    int | None,
    typer.Option(
        envvar="SCAFFOLDRY_ITERATION",
        min=0,
        metavar="N",
        help="The iteration.  [default: the scaffold's latest]",
        show_default=False,
    ),
]


def broker_url_or_set(given: str | None) -> str | None:
    """The broker's URL: as given, else as set in the environment or ``.env``, else None."""
    from shared.settings import get_settings

    return given or get_settings().broker_url or None


def data_dir_or_set(given: Path | None) -> Path:
    """The folder of experiments: as given, else as set."""
    from shared.settings import get_settings

    return given or get_settings().data_dir


def concurrency_or_set(given: int | None) -> int:
    """Runs at once: as given, else as set."""
    from shared.settings import get_settings

    return given or get_settings().concurrency
