"""``models``: the models that scaffolds may call."""

from typing import Annotated

import typer

from coordinator.cli.options import AsJson


def models_list(as_json: AsJson = False) -> int:
    """List the models, and whether each can be used."""
    from coordinator.worker_tools import call_worker

    return call_worker("models", "list", *(["--json"] if as_json else [])).returncode


def models_pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A local model: local/smollm2.", show_default=False)],
) -> int:
    """Fetch the weights of a local model."""
    from coordinator.worker_tools import call_worker

    return call_worker("models", "pull", "--", name).returncode
