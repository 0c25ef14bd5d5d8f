"""From a model's answer to the scaffold in it. Pure, and strict: nothing is guessed."""

import re

from coordinator.scaffolds import code_problem
from shared.models.base import Frozen

_FENCE = re.compile(r"( {0,3})(`{3,}|~{3,})([^`]*)")


class Extracted(Frozen):
    """The code of an answer, or a ``problem`` in a sentence; both where the code can be seen not to work."""

    code: str | None
    problem: str | None = None


def extract_code(answer: str) -> Extracted:
    """The code in the one fenced block that an answer must hold.

    Fences are those of Markdown: a line of three or more backticks or tildes (and a language, which does not matter),
    up to a line of at least as many of the same. The code must be Python and define ``process_input``.
    """
    blocks, is_open = fenced_blocks(answer)
    if not blocks:
        return Extracted(code=None, problem="There is no code block in the answer: it must hold one, fenced by ```.")
    if len(blocks) > 1:
        return Extracted(
            code=None,
            problem=f"There are {len(blocks)} code blocks in the answer: it must hold one, with the whole file in it.",
        )
    if is_open:
        return Extracted(
            code=None, problem="The code block is not closed: the answer ends in its middle. Write a shorter file."
        )
    return Extracted(code=blocks[0], problem=code_problem(blocks[0]))


def fenced_blocks(text: str) -> tuple[list[str], bool]:
    """The contents of all fenced blocks, and whether the last of them is not closed."""
    blocks: list[str] = []
    lines: list[str] = []
    indent, fence = 0, ""
    for line in text.replace("\r\n", "\n").split("\n"):
        match = _FENCE.fullmatch(line)
        if not fence and match:
            indent, fence, lines = len(match[1]), match[2], []
        elif fence and match and match[2].startswith(fence) and not match[3].strip():
            blocks.append(_joined(lines))
            fence = ""
        elif fence:
            lines.append(line[min(indent, len(line) - len(line.lstrip(" "))) :])
    if fence:
        blocks.append(_joined(lines))
    return blocks, bool(fence)


def _joined(lines: list[str]) -> str:
    return "\n".join(lines).strip("\n") + "\n"
