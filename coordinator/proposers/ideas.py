"""The ideas for a first generation: one for each scaffold, asked for together so that they differ."""

import re

from shared.models.base import Frozen
from shared.models.result import Usage

_LONGEST = 2000
_NUMBERED = re.compile(r"(?:\*\*)?(?:(?:idea|strategy|approach)\s+)?\d{1,3}\s*[.):](?:\*\*)?\s*(.*)", re.IGNORECASE)
_BULLET = re.compile(r"[-*•]\s+(.*)")


class Ideas(Frozen):
    """What the scaffolder answered when it was asked for ideas. Kept, so that it is asked once in an experiment."""

    ideas: tuple[str, ...] = ()
    model: str
    prompt: str
    response: str | None = None
    problem: str | None = None
    usage: Usage = Usage()

    def of(self, index: int) -> str | None:
        """The idea for the scaffold at that place; None where there were too few."""
        return self.ideas[index] if index < len(self.ideas) else None


def parse_ideas(answer: str, count: int) -> tuple[str, ...]:
    """The first ``count`` items of the list in an answer: numbered ones or, where there are none, bullets."""
    lines = answer.splitlines()
    return (_items(lines, _NUMBERED) or _items(lines, _BULLET))[:count]


def _items(lines: list[str], head: re.Pattern[str]) -> tuple[str, ...]:
    """Each line that begins an item, with the lines that belong to it: those up to an empty line, and indented ones."""
    items: list[list[str]] = []
    margin, inside = 0, False
    for line in lines:
        indent = len(line) - len(line.lstrip())
        match = head.fullmatch(line.strip()) if not items or indent <= margin else None
        if match:
            items.append([match[1]])
            margin, inside = max(indent, margin), True
        elif not line.strip():
            inside = False
        elif items and (inside or indent > margin):
            items[-1].append(line.strip())
    texts = (" ".join(part for part in item if part).strip() for item in items)
    return tuple(text[:_LONGEST] for text in texts if text)
