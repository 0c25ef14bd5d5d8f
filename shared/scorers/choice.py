"""``choice``: multiple choice, as people and models write their answers."""

from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from shared.errors import ScorerError
from shared.models.base import Frozen
from shared.models.example import Example
from shared.scorers.base import ProgramRunner, Score, Scorer
from shared.scorers.choice_reading import Ambiguous, plain, read_choice
from shared.scorers.options import as_text, field_of, parse_options, shorten

DEFAULT_LABELS = tuple("ABCDEFGHIJ")


class ChoiceOptions(Frozen):
    """Options of ``choice``: the field with the right choice, and the one with all of them (which may be absent)."""

    field: str = Field(default="answer", min_length=1)
    choices: str = Field(default="choices", min_length=1)


@dataclass(frozen=True)
class Choices:
    """Label -> text of the choice; the texts are empty where the example does not list its choices."""

    texts: dict[str, str]


class ChoiceScorer(Scorer):
    """1.0 where the last explicit statement of the output names the right choice, else 0.0.

    The expected field holds a label (``B``), an index from 0, or the text of a choice. Choices are a list, a map of
    label to text, or a map with the lists ``text`` and ``label`` (ARC's way). An output that names several choices,
    or none, scores 0.0 and says so.
    """

    name: ClassVar[str] = "choice"

    def __init__(self, *, run_program: ProgramRunner | None = None, **options: Any) -> None:
        self.options = parse_options(self.name, ChoiceOptions, options)

    def needed_fields(self) -> dict[str, str]:
        needed = {"field": self.options.field}
        if "choices" in self.options.model_fields_set:
            needed["choices"] = self.options.choices
        return needed

    def score(self, output: str, example: Example) -> Score:
        choices = self._choices(example)
        expected = expected_label(field_of(example, self.options.field), choices)
        if expected is None:
            raise ScorerError(
                f"The field {self.options.field!r} of example {example.id!r} names none of the choices "
                f"{', '.join(choices.texts)}."
            )
        found = read_choice(output, choices.texts)
        if found == expected:
            return Score(value=1.0)
        if isinstance(found, Ambiguous):
            return Score(value=0.0, feedback=f"The output names several choices: {', '.join(found.labels)}.")
        if found is None:
            return Score(value=0.0, feedback=f"The output names no choice: {shorten(output)}.")
        return Score(value=0.0, feedback=f"The choice is {expected}, but the output says {found}.")

    def _choices(self, example: Example) -> Choices:
        value = example.fields.get(self.options.choices)
        if value is None and "choices" not in self.options.model_fields_set:
            return Choices(dict.fromkeys(DEFAULT_LABELS, ""))
        choices = parse_choices(value)
        if choices is None:
            raise ScorerError(f"The field {self.options.choices!r} of example {example.id!r} holds no choices.")
        return choices


def parse_choices(value: Any) -> Choices | None:
    """The choices of an example's field, None where there are none to be read."""
    if isinstance(value, dict) and isinstance(value.get("text"), list) and isinstance(value.get("label"), list):
        pairs = list(zip((str(label) for label in value["label"]), value["text"], strict=False))
    elif isinstance(value, dict):
        pairs = [(str(label), text) for label, text in value.items()]
    elif isinstance(value, list) and len(value) <= 26:
        pairs = [(chr(ord("A") + index), text) for index, text in enumerate(value)]
    else:
        return None
    texts = {
        label.strip().upper() if len(label.strip()) == 1 else label.strip(): as_text(text) for label, text in pairs
    }
    return Choices(texts) if texts and all(texts) else None


def expected_label(value: Any, choices: Choices) -> str | None:
    """The label that the expected field means: a label, else an index from 0, else the text of exactly one choice."""
    labels = list(choices.texts)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    by_label = {label.casefold(): label for label in labels}
    text = str(value).strip()
    bare = text.strip("()[]. ").casefold()
    if bare in by_label:
        return by_label[bare]
    if text.isdecimal() and len(text) <= 3:
        return labels[int(text)] if int(text) < len(labels) and not _is_text(text, choices) else _by_text(text, choices)
    return _by_text(text, choices)


def _is_text(text: str, choices: Choices) -> bool:
    """Whether a decimal string is itself the text of a choice ("7" among 5, 7, 9): then it is no index."""
    return _by_text(text, choices) is not None


def _by_text(text: str, choices: Choices) -> str | None:
    matching = [label for label, choice in choices.texts.items() if choice and plain(choice) == plain(text)]
    return matching[0] if len(matching) == 1 else None
