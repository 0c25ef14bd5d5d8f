"""Which choice an answer names: the last explicit statement in it.

A statement is a phrase that commits ("the answer is", "I choose", "so", ``\\boxed``) followed by a label or by the text
of a choice; a label followed by "is correct"; or a line that holds a label alone. Where there is none, the one label
that is mentioned in brackets, as "option B", or at the head of a line will do.

Single letters are also words, so a letter counts only where what follows cannot make it one: "Answer: A" and "the
answer is A because" name a choice, "the answer is a dog" and "Answer: I think" do not.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter

from shared.scorers import choice_grammar as grammar

_HEAD, _TAIL = 2_000, 6_000
"""Characters read at either end of a longer output."""


@dataclass(frozen=True)
class Ambiguous:
    """The output names several choices and prefers none."""

    labels: tuple[str, ...]


_ASCII = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2212": "-"})

Reading = str | Ambiguous
Statement = tuple[int, Reading]
"""Where a statement stands, and what it names."""


def normal(text: str) -> str:
    """Text with compatible forms (full width letters, curly quotes, dashes) written the ASCII way."""
    return unicodedata.normalize("NFKC", text).translate(_ASCII)


def plain(text: str) -> str:
    """Text for comparing choices: case, white space and closing punctuation do not count."""
    return " ".join(normal(text).casefold().split()).strip(" \"'`*_.,;:!")


class Names:
    """What the choices may be called: ``labels`` and ``texts`` map a folded name to the label.

    ``places`` lists where in ``text`` a choice's text stands, in order: start, end, label. It is made once, since the
    stretches that ``text_at`` is asked about overlap.
    """

    def __init__(self, choices: Mapping[str, str], text: str) -> None:
        self.labels = {label.casefold(): label for label in choices}
        self.texts = {plain(text): label for label, text in choices.items() if plain(text)}
        if len(self.texts) < sum(bool(plain(text)) for text in choices.values()):
            self.texts = {}  # two choices read the same, so a text names neither
        longest_first = sorted(self.texts, key=len, reverse=True)
        texts = "|".join(r"\s+".join(map(re.escape, text.split())) for text in longest_first)
        pattern = re.compile(rf"(?<!\w)(?:{texts})(?!\w)" if texts else r"(?!)", re.IGNORECASE)
        self.places = list(self._places(pattern, text))

    def _places(self, pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int, str]]:
        match = pattern.search(text)
        while match is not None:
            label = self.texts.get(plain(match[0]))
            if label is not None:
                yield match.start(), match.end(), label
            match = pattern.search(text, match.start() + 1)

    def text_at(self, start: int, end: int) -> tuple[str, int] | None:
        """The choice whose text begins first between ``start`` and ``end``, and where it ends."""
        number = bisect_left(self.places, start, key=itemgetter(0))
        if number == len(self.places) or self.places[number][0] > end:
            return None
        _, text_end, label = self.places[number]
        return label, text_end


def read_choice(output: str, choices: Mapping[str, str]) -> Reading | None:
    """The label of ``choices`` (label -> text, "" if unknown) that ``output`` names; None where it names none.

    Never raises, and takes bounded time: of a long output only the two ends are read.
    """
    text = output if len(output) <= _HEAD + _TAIL else f"{output[:_HEAD]}\n\n{output[-_TAIL:]}"
    text = normal(text)[: 2 * (_HEAD + _TAIL)].strip()
    names = Names(choices, text)
    if plain(text) in names.texts and plain(text) not in names.labels:
        return names.texts[plain(text)]
    statements = [*_led(text, names), *_judged(text, names), *_lines(text, names)]
    if statements:
        return max(statements, key=lambda statement: statement[0])[1]
    return _only_mention(text, names)


def _led(text: str, names: Names) -> Iterator[Statement]:
    """The last statement that a phrase leads into: "the answer is B"."""
    found: list[tuple[int, int, Reading]] = []
    for lead in grammar.LEAD.finditer(text):
        skipped = grammar.AFTER_LEAD.match(text, lead.end())
        start = skipped.end() if skipped else lead.end()
        reading = _label_at(text, start, names, weak=lead["noun"] is None)
        if reading is None:
            reading = _text_at(text, lead.end(), start, names)
        if reading is not None:
            found.append((start, lead.start(), reading))
    for start, lead_start, reading in sorted(found, key=itemgetter(0), reverse=True):
        if not _doubted(text, lead_start):
            yield start, reading
            return


def _label_at(text: str, start: int, names: Names, *, weak: bool) -> Reading | None:
    """The label, or the list of labels, that stands at ``start``."""
    word = grammar.WORD.match(text, start)
    label = names.labels.get(word[0].casefold()) if word else None
    if word is None or label is None:
        return None
    second = _joined(text, word.end(), names)
    if second is not None and second != label:
        return Ambiguous((label, second))
    if grammar.wrapped(text, word.start(), word.end()):
        return label
    if weak and word[0] in ("a", "i", "I"):
        return None
    own_text = names.text_at(word.end(), word.end() + 3)
    follows_well = grammar.ENDS.match(text, word.end()) or (own_text and own_text[0] == label)
    return label if follows_well else None


def _joined(text: str, end: int, names: Names) -> str | None:
    """The second label of "A or B", "A and B.", "A, B"."""
    more = grammar.MORE.match(text, end)
    label = names.labels.get(more["word"].casefold()) if more else None
    if more is None or label is None or more["word"] in ("a", "i", "I"):
        return None
    either = more["join"].strip(" ,").casefold() in ("or", "/")
    return label if either or grammar.LIST_ENDS.match(text, more.end()) else None


def _text_at(text: str, start: int, end: int, names: Names) -> Reading | None:
    """The choice whose text stands between ``start`` and ``end``."""
    found = names.text_at(start, end)
    if found is None:
        return None
    either = grammar.OR.match(text, found[1])
    second = names.text_at(either.end(), either.end()) if either else None
    if second is not None:
        return Ambiguous((found[0], second[0]))
    return found[0] if grammar.ENDS.match(text, found[1]) else None


def _judged(text: str, names: Names) -> Iterator[Statement]:
    """Statements that pass judgement: "B is correct"."""
    for match in grammar.JUDGED.finditer(text):
        label = names.labels.get(match["word"].casefold())
        if label is not None and not _doubted(text, match.start()):
            yield match.start(), label


def _lines(text: str, names: Names) -> Iterator[Statement]:
    """Lines that hold a label alone; the text of a choice alone counts on the last line."""
    position, above = 0, None
    lines = text.split("\n")
    for number, line in enumerate(lines):
        start, position = position, position + len(line) + 1
        if not line.strip():
            continue
        label = names.labels.get(grammar.bare(line).casefold())
        if label is None and number == len(lines) - 1:
            label = names.texts.get(plain(line))
        if label is not None:
            yield start, label if above in (None, label) else Ambiguous((str(above), label))
        above = label


def _only_mention(text: str, names: Names) -> Reading | None:
    """The only label mentioned; labels that are said to be something ("(A) is wrong") are spoken of, not chosen."""
    found: dict[str, None] = {}
    for match in grammar.MENTION.finditer(text):
        label = names.labels.get(match[str(match.lastgroup)].casefold())
        if label is None or label in found or grammar.SUBJECT.match(text, match.end()):
            continue
        if not _doubted(text, match.start(), plain_not=True):
            found[label] = None
    return Ambiguous(tuple(found)) if len(found) > 1 else next(iter(found), None)


def _doubted(text: str, start: int, *, plain_not: bool = False) -> bool:
    """Whether the clause before ``start`` takes back what follows: "I don't think", "if", "whether"."""
    before = text[max(0, start - 80) : start]
    clause = grammar.CLAUSE.split(before)[-1]
    return bool(grammar.DOUBT.search(clause) or (plain_not and grammar.NOT.search(clause)))
