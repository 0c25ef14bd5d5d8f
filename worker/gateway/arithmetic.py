"""Finding the arithmetic in a text, working it out exactly, and getting it wrong on purpose."""

import ast
import re
from collections.abc import Callable
from fractions import Fraction

_LONGEST = 400
_LAST = 4000
"""Characters of a text that are looked at, its last: prompts are long where they are hostile."""
_LARGEST_EXPONENT = 64
_MOST_DIGITS = 1000

_WORDS = (
    (re.compile(r"(?<=\d),(?=\d{3}\b)"), ""),
    (re.compile(r"\bplus\b", re.I), "+"),
    (re.compile(r"\bminus\b|[\u2212\u2013]", re.I), "-"),
    (re.compile(r"\b(?:times|multiplied by)\b|[\u00d7\u00b7]|(?<=[\d)])\s*x\s*(?=[\d(-])", re.I), " * "),
    (re.compile(r"\b(?:divided by|over)\b|\u00f7", re.I), "/"),
    (re.compile(r"\^"), "**"),
)
_SPAN = re.compile(r"[-+*/().\d \t]+")
_LOOKS_MEANT = re.compile(r"[*/(]|\d\)* +[-+] +[-(]*[\d.]")
_OPERATOR = re.compile(r"[\d)]\s*(?:\*\*|[-+*/])\s*[-+(.\d]")

_BINARY: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}


def solve(text: str) -> Fraction | None:
    """The value of the last arithmetic in ``text`` (``3 * (4 + 5)``, ``7 plus 2``); None where there is none.

    What is plainly meant as arithmetic comes before what may be a range or a date (``2-3``).
    """
    text = text[-_LAST:]
    for pattern, symbol in _WORDS:
        text = pattern.sub(symbol, text)
    spans = [span for match in _SPAN.finditer(text) if _OPERATOR.search(span := _trim(match.group()))]
    for span in [*filter(_LOOKS_MEANT.search, reversed(spans)), *reversed(spans)]:
        value = evaluate(span)
        if value is not None:
            return value
    return None


def _trim(span: str) -> str:
    return span.lstrip(")*/+. \t").rstrip("(+-*/. \t")


def evaluate(expression: str) -> Fraction | None:
    """The exact value of ``expression``; None where it is not arithmetic, divides by zero or grows too large."""
    if len(expression) > _LONGEST:
        return None
    try:
        return _value(ast.parse(expression, mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int() | float() as number):
            return _bounded(Fraction(str(number)))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left), _value(right))
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _BINARY:
            return _bounded(_BINARY[type(operator)](_value(left), _value(right)))
    raise ValueError("not arithmetic")


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or abs(exponent) > _LARGEST_EXPONENT:
        raise ValueError("exponent out of bounds")
    return _bounded(base ** int(exponent))


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_DIGITS * 3:
        raise ValueError("number too large")
    return value


def written(value: Fraction) -> str:
    """``value`` as people write it: ``42``, ``-0.5``, six decimals at most."""
    if value.denominator == 1:
        return str(value.numerator)
    sign = "-" if value < 0 else ""
    whole, millionths = divmod(round(abs(value) * 10**6), 10**6)
    return f"{sign}{whole}.{millionths:06d}".rstrip("0").rstrip(".")


def near_miss(value: Fraction, chance: int) -> Fraction:
    """A wrong answer near ``value``; ``chance`` (any number of 0 or more) picks one of 40."""
    distance = 1 + chance % 20
    return value + (distance if chance // 20 % 2 else -distance)
