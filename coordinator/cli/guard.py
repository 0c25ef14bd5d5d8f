"""How a command ends: every error becomes a sentence on stderr and an exit code."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import typer

from shared.error_words import describe, discard, say

__all__ = ["describe", "guarded", "say"]

Parameters = ParamSpec("Parameters")
READER_GONE = 141
"""128 + SIGPIPE, as shells know it of other programs."""


def guarded(command: Callable[Parameters, int | None]) -> Callable[Parameters, None]:
    """``command``, exiting with the code it returns, or with that of the error it raises.

    What an error carries as notes (where the experiment is, how to resume it) is printed after its sentence.
    """

    @wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            code = command(*args, **kwargs)
            sys.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:
            sentence, code = describe(error)
            if isinstance(error, BrokenPipeError):  # whoever read our output has gone
                discard(sys.stdout)
                sentence, code = "", READER_GONE
            for part in (sentence, *getattr(error, "__notes__", ())):
                if part:
                    say(part)
        raise typer.Exit(code or 0)

    return run
