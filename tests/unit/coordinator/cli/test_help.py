"""Every command's help: documented to the letter, quick to come, each option with its variable."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from coordinator.cli.app import make_app

DOCS = Path(__file__).parents[4] / "docs" / "cli.md"
COMMANDS = [
    "",
    "run",
    "resume",
    "worker",
    "workers",
    "ls",
    "show",
    "diff",
    "tree",
    "logs",
    "score",
    "cancel",
    "report",
    "verify",
    "flower",
    "doctor",
    "selftest",
    "image",
    "image build",
    "image info",
    "models",
    "models list",
    "models pull",
]


def documented() -> dict[str, str]:
    """Command -> help text, from the blocks of the documentation that begin with ``$ scaffoldry ... --help``."""
    blocks = re.findall(r"```text\n\$ scaffoldry ?(.*?) ?--help\n(.*?)\n```", DOCS.read_text(), re.DOTALL)
    return {command.strip(): text for command, text in blocks}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_documentation_shows_the_help_as_it_is(invoke, command: str) -> None:
    found = invoke(*command.split(), "--help")
    assert found.exit_code == 0
    assert found.stdout.rstrip() == documented()[command]


def test_every_command_is_documented() -> None:
    group = get_command(make_app())
    names = {"", *group.commands}
    names |= {f"{name} {sub}" for name, one in group.commands.items() for sub in getattr(one, "commands", {})}
    assert names == set(COMMANDS) == set(documented())


def test_every_option_has_its_variable() -> None:
    group = get_command(make_app())
    commands = [one for top in group.commands.values() for one in (top, *getattr(top, "commands", {}).values())]
    options = [option for command in commands for option in command.params if option.param_type_name == "option"]
    assert len(options) > 20
    for option in options:
        assert str(option.envvar).startswith("SCAFFOLDRY_"), option.name


def test_help_needs_nothing_slow() -> None:
    code = (
        "import sys, coordinator.cli; "
        "slow = ('celery', 'scipy', 'numpy', 'pandas', 'pydantic', 'rich', 'docker', 'openai'); "
        "print([name for name in slow if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_version(invoke) -> None:
    from shared import __version__

    assert invoke("--version").stdout == f"scaffoldry {__version__}\n"


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "coordinator", "ls", "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Usage: scaffoldry ls ")
