"""A run's log: plain text that people read, also while the run is going."""

import re
from datetime import UTC, datetime
from typing import BinaryIO

from shared.models.job import Job
from shared.models.result import RunResult

_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)
"""Control characters, and those that turn or hide what stands beside them."""
_MARKER = re.compile(r"(?<=\n)(?==)")
_LONGEST_SECTION = 256 * 1024
_STARTED = "=== run: "
_FINISHED = "=== finished: "


def printable(text: str) -> str:
    """A program's text with control characters made visible and our own markers indented.

    So a program can neither steer the reader's terminal nor pretend that its run has ended.
    """
    text = _MARKER.sub(" ", text.replace("\r\n", "\n"))
    return _UNPRINTABLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _section(title: str, text: str) -> str:
    """A titled block of text, cut where it is very long."""
    cut = text[:_LONGEST_SECTION]
    left_out = f"\n[{len(text) - len(cut)} more characters]" if len(cut) < len(text) else ""
    return f"--- {title}\n{printable(cut)}{left_out}\n"


class Ending:
    """Tells from a log, piece by piece as it grows, whether its last attempt has ended. Looks at each piece once."""

    def __init__(self) -> None:
        self.finished = False
        self._line = ""
        """How the line that is not at its end yet begins."""

    def feed(self, piece: str) -> bool:
        """Whether it has, now that ``piece`` was read as well."""
        *lines, last = (self._line + piece).split("\n")
        for line in lines:
            if line.startswith((_STARTED, _FINISHED)):
                self.finished = line.startswith(_FINISHED)
        self._line = last[: len(_FINISHED)]
        return self.finished


class RunLog:
    """Writes one attempt of a run: header, input, output as it comes, answer or error, closing line."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._at_line_start = True

    def start(self, job: Job, attempt: int, worker: str, model: str, input_string: str) -> None:
        """The header, and what the scaffold is given."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        header = f"\n{_STARTED}{job}\n=== attempt {attempt} on {worker}, model {model or 'none'}, {now}\n"
        self._write(header + _section("input", input_string) + "--- output\n")

    def output(self, text: str) -> None:
        """Printed text, as it comes."""
        indent = " " if self._at_line_start and text.startswith("=") else ""
        self._write(indent + printable(text))

    def note(self, text: str) -> None:
        """A line of our own between the program's."""
        self._write(("" if self._at_line_start else "\n") + f"... {printable(text)}\n")

    def section(self, title: str, text: str) -> None:
        """A titled block of text."""
        self._write(("" if self._at_line_start else "\n") + _section(title, text))

    def finish(self, result: RunResult) -> None:
        """Error, answer, feedback and the closing line with status, score and seconds."""
        parts = (
            ("error", result.error_message or None),
            ("answer", result.output),
            ("feedback", result.feedback or None),
        )
        sections = "".join(_section(title, text) for title, text in parts if text is not None)
        score = "no score" if result.score is None else f"score {result.score:g}"
        self._write(
            ("" if self._at_line_start else "\n")
            + f"{sections}{_FINISHED}{result.status}, {score}, {result.execution_time:.2f} s\n"
        )

    def abandon(self, reason: str) -> None:
        """The closing line of an attempt that says nothing about the program."""
        self._write(("" if self._at_line_start else "\n") + f"{_FINISHED}not counted. {printable(reason)}\n")

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, text: str) -> None:
        if text:
            self._file.write(text.encode("utf-8", errors="replace"))
            self._at_line_start = text.endswith("\n")
