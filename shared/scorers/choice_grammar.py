"""The patterns by which ``choice`` reads an answer, once its quotes and dashes are ASCII.

Every repetition is bounded, or cannot be read in two ways.
"""

import re

_FLAGS = re.IGNORECASE

WORD = re.compile(r"[^\W_]{1,20}")
"""A label, to be looked up."""

_IS = (
    r"(?:is|was|must\s+be|should\s+be|would\s+be|will\s+be|has\s+to\s+be|might\s+be|may\s+be|could\s+only\s+be|"
    r"(?:seems|appears)\s+to\s+be|remains)\b"
)
_NOUN = r"(?:answer|choice|option|response|solution|selection|pick|guess|conclusion|one)"
_LINK = rf"(?:{_IS}|=+>?|:|→|-+>|>)"

LEAD = re.compile(
    # "the correct answer to this question is", "**Answer**:", '"answer":', "<answer>"
    rf"(?<![\w/-])(?P<noun>{_NOUN})(?:\s{{1,3}}[\w']{{1,20}}){{0,6}}?(?:\s?\([^)\n]{{0,30}}\))?[\"'*_`]{{0,6}}\s{{0,4}}"
    rf"{_LINK}(?:\s{{0,4}}{_LINK})?"
    # "answer B", "answer choice B"
    r"|(?<![\w/-])(?P<noun_alone>answer)\s{1,3}(?:choice\s|option\s|letter\s)?"
    r"|(?<![\w-])(?:choose|chose|choosing|picked|picking|select|selected|selecting|(?:go|going|went)\s+with|say|"
    r"vote\s+for|opt\s+for|settle\s+on|conclude|answer\s+with)\s"
    rf"|(?<![\w-])(?:it|that|this)(?:'s\b|\s{_IS})"
    r"|(?<![\w-])(?:therefore|thus|hence|so)\b,?\s"
    r"|(?P<boxed>\\boxed)"
    r"|(?:→|[-=]>)"
    # "Q: ... A: B"
    r"|(?<!\w)(?-i:A):\s",
    _FLAGS,
)
"""What leads into a statement. Group ``noun`` is set where it names the answer as such."""

_DECOR = r"[\s*_`\"'(\[{<$\\:=>~#✅✓→-]{0,40}"
_FILLER = (
    r"(?:the|my|option|choice|letter|answer|therefore|thus|hence|then|indeed|definitely|certainly|clearly|obviously|"
    r"probably|likely|most\s+likely|simply|actually|really|still|just|with|either|both|text|mathrm|mathbf|textbf|boxed)"
    r"(?![^\W_])"
)
AFTER_LEAD = re.compile(rf"{_DECOR}(?:{_FILLER}{_DECOR}){{0,4}}", _FLAGS)
"""Ornament and small words between the phrase and the label."""

_CLOSE = r"[*_`\"')\]}>$\\]{0,10}"
ENDS = re.compile(
    rf"{_CLOSE}(?:\s*\Z|[^\S\n]*\n|\.(?![\w.])|[,;:!](?!\w)|[)\]]|\s*[—(]|\s-+\s|</|"
    r"\s+(?:because|since|as|and|for|due|given|based|which|that|by|in\s+my|here|then|instead|rather|after\s+all|"
    r"obviously|definitely|with|not|but|over)\b)",
    _FLAGS,
)
"""What may follow a label or a choice's text: an end, or a word that goes on to give reasons."""

MORE = re.compile(
    rf"{_CLOSE}(?P<join>\s*,\s*(?:or|and)\b\s*|\s*[,/&]\s*|\s+(?:or|and)\s+)[(\[*_]{{0,4}}"
    r"(?:(?:option|choice)\s)?[(\[*_]{0,4}(?P<word>[^\W_]{1,20})",
    _FLAGS,
)
LIST_ENDS = re.compile(rf"{_CLOSE}(?:\s*\Z|\s*\n|\.(?!\w)|[;,!]|\s+(?:or|and|together|both)\b)", _FLAGS)
OR = re.compile(rf"{_CLOSE}\s+or\s+{_DECOR}", _FLAGS)

JUDGED = re.compile(
    rf"(?<![\w'])(?P<word>[^\W_]{{1,20}}){_CLOSE}\s+(?:is|was|seems|looks|must\s+be|would\s+be|has\s+to\s+be)\s+"
    r"(?:(?:therefore|thus|clearly|indeed|definitely|probably|obviously|actually)\s+)?(?:the\s+|my\s+)?"
    r"(?:only\s+|most\s+)?(?:correct|right|best|true|valid|accurate|appropriate|answer|likely)\b"
    r"(?!\s*\?|\s+(?:only|if|when|in|for|about|but)\b)",
    _FLAGS,
)
"""A label that is said to be right."""

MENTION = re.compile(
    r"(?<![\w)\]])[(\[](?P<bracketed>[^\W_]{1,20})[)\]](?!\()"
    r"|(?<![\w-])(?i:option|choice)\s{1,3}[(\"'*]{0,4}(?P<named>[^\W_]{1,20})(?![\w'+#&-])"
    r"|(?m:^)[*_`>\-\s]{0,8}(?P<headed>[A-Z0-9]{1,2})(?:\)|\.|\*\*[).:]?)[*_`]{0,3}(?=[^\S\n])"
    r"|(?m:^)[*_`>\-\s]{0,8}(?P<other>[B-HJ-Z]):(?=[^\S\n])"
)
"""A label that is mentioned. "A:" is no mention: it is more often short for "answer:"."""
SUBJECT = re.compile(
    r"[*_`\"')\]]{0,4},?\s+(?:is|are|was|isn't|can|cannot|can't|does|doesn't|would|could|fails|seems)\b",
    _FLAGS,
)

DOUBT = re.compile(
    r"(?:n't|\bnot|\bnever|\bno)\s+(?:think|believe|say|expect|mean|sure|certain|that|longer|choose|pick|select|go)\b"
    r"|n't\s*\Z|\bnot\s*\Z|\b(?:doubt|if|whether|unless|suppose|supposing|assume|assuming|neither)\b",
    _FLAGS,
)
NOT = re.compile(r"n't\b|\b(?:not|nor|neither|never|rule\s+out|eliminate|exclude|unlike)\b", _FLAGS)
CLAUSE = re.compile(r"[.;:,!?\n]|\b(?:but|however|so|then|hence|thus|therefore|yet)\b", _FLAGS)

_ORNAMENT = " \t\r*_`\"'()[]{}<>$\\#.,:!~-✅✓"
_NAMED = re.compile(
    r"(?:the\s+)?(?:(?:final|correct|best)\s+)?(?:answer|option|choice|letter)(?:\s+(?:is|option|choice))?"
    r"[\s:*_`\"'(\[{]+",
    _FLAGS,
)
_TEX = re.compile(r"(?:boxed|text|textbf|mathrm|mathbf)[{(]+")


def bare(line: str) -> str:
    """A line without ornament and without "answer:" or "option": ``**Option (B).**`` becomes ``B``."""
    text = line[:200].strip(_ORNAMENT)
    for pattern in (_NAMED, _TEX):
        match = pattern.match(text)
        text = text[match.end() :].strip(_ORNAMENT) if match else text
    return text if len(line) <= 200 else ""


def wrapped(text: str, start: int, end: int) -> bool:
    """Whether brackets, quotes or bold marks close around a label."""
    before, after = text[max(0, start - 1) : start], text[end : end + 1]
    return before + after in ("()", "[]", "{}", "<>", '""', "``", "**", "__")
