"""Reading the number that a text ends on, in bounded time whatever the text."""

import re
from collections import deque
from dataclasses import dataclass
from fractions import Fraction

MAX_DIGITS = 400
"""Longest number read, in characters; and the largest power of ten. Beyond both, no float could hold it."""
_WINDOW = 4 * MAX_DIGITS
_MARKS = 64
"""How many ``####`` are looked at, from the last."""

# A sign counts where it does not join two things: "10-3" ends on 3.
_SIGN = r"(?P<sign>(?<![\w)\]}.])[-+])?"
_CURRENCY = r"(?:\\?[$€£¥₹]\s?(?P<inner>[-+])?)?"
_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|(?<![0-9])\.[0-9]+)"
_NUMBER = re.compile(
    rf"{_SIGN}{_CURRENCY}(?P<above>{_DIGITS})(?:[eE](?P<power>[-+]?[0-9]+))?"
    rf"(?:\s?/\s?(?P<below>{_DIGITS})(?![0-9]|\s?/))?"
)
_MARK = re.compile(r"####[ \t]*:?[ \t]*[*_`(\\\[$]*(?:boxed\{)?")
# "#### 2. Add them up" is the heading of a numbered step, not an answer.
_HEADING = re.compile(r"[.)][ \t]+\S")

# Minus signs, hyphens and the en dash that are typed for "-".
_DASHES = str.maketrans(dict.fromkeys("\u2212\ufe63\uff0d\u2010\u2011\u2013", "-"))


@dataclass(frozen=True)
class Number:
    """A number and how it was written."""

    value: Fraction
    text: str


def read_number(text: str) -> Number | None:
    """The number after the last ``####`` that has one, else the last number of ``text``; None where there is none.

    Never raises, and reads only a bounded part of the text. A number of more than ``MAX_DIGITS`` characters, or whose
    power of ten lies beyond ``MAX_DIGITS``, is none.
    """
    marked = _after_mark(text)
    return _to_number(marked) if marked else _last(text)


def _after_mark(text: str) -> re.Match[str] | None:
    """The number right after the last ``####`` that has one."""
    position = len(text)
    for _ in range(_MARKS):
        position = text.rfind("####", 0, position)
        if position < 0:
            return None
        window = text[position : position + _WINDOW].translate(_DASHES)
        mark = _MARK.match(window)
        found = _NUMBER.match(window, mark.end()) if mark else None
        if found and not _HEADING.match(window, found.end()):
            return found
    return None


def _last(text: str) -> Number | None:
    """The number that the last digit of ``text`` belongs to."""
    end = max(text.rfind(digit) for digit in "0123456789") + 1
    start = max(0, end - _WINDOW)
    last = deque(_NUMBER.finditer(text[start:end].translate(_DASHES)), maxlen=1)
    if not last or (last[0].start() == 0 and start > 0):
        return None  # no digit at all, or a number that began before the window
    return _to_number(last[0])


def _to_number(match: re.Match[str]) -> Number | None:
    """The value of a match, exactly; None where it is too long, too large, too small, or divided by zero."""
    above, power, below = match["above"], match["power"] or "0", match["below"]
    if len(match[0]) > MAX_DIGITS or abs(int(power)) > MAX_DIGITS:
        return None
    value = _fraction(above) * Fraction(10) ** int(power)
    if below:
        if match.string[: match.start()].rstrip().endswith("/"):  # 3/4/2024 is no quotient
            value = _fraction(below)
        elif not _fraction(below):
            return None
        else:
            value /= _fraction(below)
    negative = (match["sign"] == "-") != (match["inner"] == "-")
    return Number(value=-value if negative else value, text=match[0].strip())


def _fraction(digits: str) -> Fraction:
    return Fraction(digits.replace(",", ""))
