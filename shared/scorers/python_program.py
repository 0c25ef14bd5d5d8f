"""Finding the program in an answer: a function body, a whole program, or either inside a fence with prose around it."""

import re
import textwrap
from collections.abc import Iterator

MAX_PROGRAMS = 8
_BLANK = r"[ \t\f]"
"""White space as Python has it within a line: there is more in Unicode, and an answer may hold any."""
_CODE_LINE = re.compile(rf"(?:def|class|async{_BLANK}+def|import|from)\s|@\w", re.ASCII)


def candidate_programs(prompt: str, output: str, entry_point: str) -> list[str]:
    """Programs that ``output`` may stand for, the likeliest first; the first that compiles is meant.

    ``prompt`` is the head of a program that ends inside the function ``entry_point`` (HumanEval's way), so a body
    completes it and a whole program, put after it, redefines the function.
    """
    defines = re.compile(rf"^(?:async{_BLANK}+def|def|class){_BLANK}+{re.escape(entry_point)}\b", re.MULTILINE)
    programs: dict[str, None] = {}
    for program in _programs(prompt, output, defines):
        programs[program] = None
        if len(programs) == MAX_PROGRAMS:
            break
    return list(programs)


def _programs(prompt: str, output: str, defines: re.Pattern[str]) -> Iterator[str]:
    """All that the output may stand for: what its fences hold, whole programs and the last of them first, then itself.

    One after the other, as an answer may have thousands of fences.
    """
    blocks = fenced_blocks(output)
    is_whole = {text: defines.search(text) is not None for text in {*blocks, output}}
    whole = [block for block in reversed(blocks) if is_whole[block]]
    parts = [block for block in blocks if not is_whole[block]]
    for text in dict.fromkeys([*whole, *parts, output]):
        yield from _whole_programs(prompt, text) if is_whole[text] else _completions(prompt, text)


def fenced_blocks(text: str) -> list[str]:
    """The contents of Markdown's ``` fences, in order; a fence that is never closed ends with the text."""
    blocks: list[str] = []
    lines: list[str] | None = None
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("```"):
            if lines is not None:
                blocks.append(textwrap.dedent("".join(lines)) if _is_indented_program(lines) else "".join(lines))
            lines = [] if lines is None else None
        elif lines is not None:
            lines.append(line)
    if lines is not None:
        blocks.append("".join(lines))
    return [block for block in blocks if block.strip()]


def _is_indented_program(lines: list[str]) -> bool:
    """Whether a fence stands indented, in a list say, with a whole program in it."""
    first = next((line for line in lines if line.strip()), "")
    return first[:1].isspace() and bool(_CODE_LINE.match(first.lstrip()))


def _whole_programs(prompt: str, text: str) -> list[str]:
    """``text`` after the prompt, for its imports and helpers, or alone; also without the prose around it."""
    lines = text.splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines) if _CODE_LINE.match(line)), 0)
    end = max((number for number, line in enumerate(lines) if line[:1].isspace() and line.strip()), default=len(lines))
    trimmed = "".join(lines[start : end + 1])
    return [f"{prompt}\n{text}", text, f"{prompt}\n{trimmed}", trimmed]


def _completions(prompt: str, text: str) -> list[str]:
    """The prompt completed with ``text`` as the function's body, indented as it is or as it should be."""
    head = prompt if prompt.endswith("\n") else f"{prompt}\n"
    body = text.strip("\n") + "\n"
    as_given = f"{head}{body}"
    if body[:1].isspace():
        return [as_given, head + textwrap.indent(textwrap.dedent(body), "    ")]
    return [head + textwrap.indent(body, "    "), f"{head}    {body}", as_given]
