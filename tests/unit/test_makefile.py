"""What make's targets run; nothing is run here."""

import os
import shlex
import subprocess

import pytest

from tests.conftest import ROOT, command_environment


def recipe(*arguments: str) -> list[list[str]]:
    """The command lines of a target, in words, for who has not come from another make; `.venv` is taken as it is."""
    inherited = {name: "" for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL") if name in os.environ}
    done = subprocess.run(
        ["make", "-n", "--no-print-directory", "-C", str(ROOT), "-o", ".venv/.stamp", *arguments],
        env=command_environment(**inherited),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [shlex.split(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("target", "more"), [("chaos", []), ("chaos-mutations", ["--mutate", "all"])])
def test_chaos_writes_the_page_of_the_selftest(target: str, more: list[str]) -> None:
    command = [".venv/bin/scaffoldry", "selftest", *more, "--out", "docs/reliability.md"]
    assert recipe(target) == [["scripts/faketime.sh"], ["scripts/with_servers.sh", *command]]
    assert recipe(target, "ARGS=--rows 1,9")[-1] == ["scripts/with_servers.sh", *command, "--rows", "1,9"]
