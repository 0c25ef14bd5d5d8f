"""The worker's commands: ``python -m worker run|drain|check|ask|surroundings|doctor|image|models|score``.

``scaffoldry`` calls them.
"""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from shared.error_words import describe, say

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
image = typer.Typer(no_args_is_help=True, help="The image scaffolds run in.")
models = typer.Typer(no_args_is_help=True, help="The models scaffolds may call.")
app.add_typer(image, name="image")
app.add_typer(models, name="models")

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.command()
def run(
    name: str | None = None,
    concurrency: Annotated[int | None, typer.Option(min=1)] = None,
    sandbox: str = "docker",
    parent: Annotated[int | None, typer.Option(help="Stop when this process, which started us, is gone.")] = None,
    trouble: Annotated[Path | None, typer.Option(help="Write there why no job is taken at present.")] = None,
) -> None:
    """Serve jobs from the broker of SCAFFOLDRY_BROKER_URL."""
    from worker.service import serve

    serve(name, concurrency, sandbox, parent, trouble)


@app.command()
def drain(name: str | None = None) -> None:
    """Have the workers of that name on this host finish what they run and leave; wait until they have."""
    from worker.drain import drain as drain_workers

    drain_workers(name, say)


@app.command()
def reap(name: str | None = None, sandbox: str = "docker") -> None:
    """Remove what a worker that was killed left behind."""
    from worker.service import reap as reap_strays

    print(reap_strays(name, sandbox))


@app.command()
def check(
    sandbox: str = "docker",
    model: Annotated[list[str] | None, typer.Option(help="A model that will be asked; may be repeated.")] = None,
    aliases: Annotated[str, typer.Option(help="The spec's `models`, as a JSON object.")] = "{}",
    as_json: Json = False,
) -> None:
    """Whether runs can be started on this machine, and in which image."""
    from worker.gateway.models_cli import check_model
    from worker.sandbox.registry import build_sandbox

    box = build_sandbox(sandbox)
    box.check()
    for name in model or () if box.uses_gateway else ():
        check_model(name, json.loads(aliases))
    info = None
    if sandbox == "docker":
        from worker.sandbox.image import image_info

        info = image_info().model_dump()
    print(json.dumps({"sandbox": sandbox, "image": info}))


@app.command()
def ask(
    model: Annotated[str, typer.Option(help="The model to ask.")],
    aliases: Annotated[str, typer.Option(help="The spec's `models`, as a JSON object.")] = "{}",
    experiment: Annotated[Path | None, typer.Option(help="The experiment on whose account it is asked.")] = None,
) -> None:
    """Ask a model: a question per line of stdin, an answer per line of stdout, both in JSON."""
    from worker.ask import main as answer_lines

    answer_lines(model, json.loads(aliases), experiment)


@app.command()
def surroundings(sandbox: str = "docker", as_json: Json = False) -> None:
    """Which Python and which packages a scaffold finds in the sandbox."""
    from worker.surroundings import look_around

    print(look_around(sandbox).model_dump_json())


@app.command()
def doctor(as_json: Json = False) -> None:
    """What is wrong with this machine's Docker, image and models."""
    from worker.doctor import checks

    print(json.dumps([finding.model_dump() for finding in checks()]))


@app.command()
def score(directory: Path, as_json: Json = False) -> None:
    """Score an experiment's stored outputs again, in place."""
    from worker.rescoring import rescore

    print(json.dumps(rescore(directory).model_dump()))


@image.command("build")
def image_build() -> None:
    """Build the sandbox image unless it is there."""
    from worker.sandbox.image import build_image

    print(build_image(say))


@image.command("info")
def image_info_(as_json: Json = False) -> None:
    """The sandbox image's name and digest."""
    from worker.sandbox.image import image_info

    info = image_info()
    print(info.model_dump_json() if as_json else f"{info.reference} {info.digest or 'not built'}")


@models.command("list")
def models_list(as_json: Json = False) -> None:
    """The models there are, and whether each can be used."""
    from worker.gateway.models_cli import list_models, render_models

    states = list_models()
    print("\n".join(state.model_dump_json() for state in states) if as_json else render_models(states))


@models.command("pull")
def models_pull(name: str) -> None:
    """Fetch a local model's weights."""
    from worker.gateway.models_cli import pull_model

    pull_model(name, say)


def main() -> int:
    """Run a command; an error becomes its sentence and its exit code."""
    try:
        app()
    except (Exception, KeyboardInterrupt) as error:
        sentence, code = describe(error)
        if sentence:
            say(sentence)
        return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
