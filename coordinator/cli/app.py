"""The commands put together. Each lives in a module of its own, and imports what is slow only when it is called."""

from collections.abc import Callable
from typing import Annotated

import typer

from coordinator.cli.cancel import cancel
from coordinator.cli.diff import diff
from coordinator.cli.doctor import doctor
from coordinator.cli.flower import flower
from coordinator.cli.guard import guarded
from coordinator.cli.image import image_build, image_info
from coordinator.cli.logs import logs
from coordinator.cli.ls import ls
from coordinator.cli.models import models_list, models_pull
from coordinator.cli.report import report
from coordinator.cli.run import resume, run
from coordinator.cli.score import score
from coordinator.cli.selftest import selftest
from coordinator.cli.show import show
from coordinator.cli.tree import tree
from coordinator.cli.verify import verify
from coordinator.cli.worker import worker
from coordinator.cli.workers import workers

EPILOG = (
    "Exit codes: 0 complete; 1 finished with runs that were given up or that the scorer failed on; 2 usage; "
    "3 no broker, worker or Docker; 130 interrupted and resumable. Data goes to stdout, talk to stderr."
)


def make_app() -> typer.Typer:
    """The whole command line."""
    app = _group(
        "Evaluate LLM scaffolds: untrusted programs, in containers, at scale, with numbers that hold.", epilog=EPILOG
    )
    app.callback()(_version)
    looking, minding = (ls, show, diff, tree, logs), (verify, flower, doctor, selftest)
    for command in (run, resume, worker, workers, *looking, score, cancel, report, *minding):
        _add(app, command.__name__, command)
    image = _group("The image that scaffolds run in.")
    _add(image, "build", image_build)
    _add(image, "info", image_info)
    app.add_typer(image, name="image")
    models = _group("The models that scaffolds may call.")
    _add(models, "list", models_list)
    _add(models, "pull", models_pull)
    app.add_typer(models, name="models")
    return app


def main() -> None:
    """Run the command line of this process, and exit with its code."""
    make_app()(prog_name="scaffoldry")


def _group(help: str, epilog: str | None = None) -> typer.Typer:
    # Plain help and errors of one width: they start fast, and read the same in a terminal, a pipe and the docs.
    return typer.Typer(
        help=help,
        epilog=epilog,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"terminal_width": 80},
    )


def _add(group: typer.Typer, name: str, command: Callable[..., int | None]) -> None:
    group.command(name)(guarded(command))


def _show_version(wanted: bool) -> None:
    if wanted:
        from shared import __version__

        typer.echo(f"scaffoldry {__version__}")
        raise typer.Exit()


def _version(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Nothing is done before a command."""
