"""Finding the program in an answer: a function body, a whole program, or either inside a fence with prose around it."""

import re
import textwrap

MAX_PROGRAMS = 8
_CODE_LINE = re.compile(r"(?:def|class|async def|import|from)\s|@\w", re.ASCII)


def candidate_programs(prompt: str, output: str, entry_point: str) -> list[str]:
    """Programs that ``output`` may stand for, the likeliest first; the first that compiles is meant.

    ``prompt`` is the head of a program that ends inside the function ``entry_point`` (HumanEval's way), so a body
    completes it and a whole program, put after it, redefines the function.
    """
    defines = re.compile(rf"^(?:async\s+def|def|class)\s+{re.escape(entry_point)}\b", re.MULTILINE)
    blocks = fenced_blocks(output)
    whole = [block for block in reversed(blocks) if defines.search(block)]
    programs: list[str] = []
    for text in [*whole, *(block for block in blocks if block not in whole), output]:
        if defines.search(text):
            programs += _whole_programs(prompt, text)
        else:
            programs += _completions(prompt, text)
    return list(dict.fromkeys(programs))[:MAX_PROGRAMS]


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
    start = next(number for number, line in enumerate(lines) if _CODE_LINE.match(line))
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
