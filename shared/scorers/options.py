"""What the built-in scorers share: checking their options, reading an example's fields, quoting in feedback."""

import json
from typing import Any, TypeVar

from pydantic import ValidationError

from shared.errors import ScorerError, SpecError
from shared.models.base import Frozen
from shared.models.example import Example
from shared.registry import nearest

OptionsT = TypeVar("OptionsT", bound=Frozen)


def parse_options(scorer: str, model: type[OptionsT], options: dict[str, Any]) -> OptionsT:
    """``options`` as ``model``; raises SpecError that names the option and, for an unknown one, the nearest known."""
    for name in options:
        if name not in model.model_fields:
            raise SpecError(f"The scorer {scorer!r} has no option {name!r}{nearest(name, sorted(model.model_fields))}")
    try:
        return model.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in ("scorer", *first["loc"]))
        raise SpecError(f"{where} of {scorer!r} cannot be {shorten(first['input'])}: {first['msg']}.") from error


def field_of(example: Example, field: str) -> Any:
    """The example's field; raises ScorerError where it has none."""
    if field not in example.fields:
        raise ScorerError(
            f"Example {example.id!r} has no field {field!r} to score against{nearest(field, sorted(example.fields))}"
        )
    return example.fields[field]


def as_text(value: Any) -> str:
    """A field's value as a person would write it in an answer: text as it is, anything else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def shorten(value: Any, limit: int = 80) -> str:
    """``value`` quoted for a sentence, at most about ``limit`` characters, whatever it holds."""
    text = value if isinstance(value, str) else as_text(value)
    cut = text if len(text) <= limit else f"{text[: limit // 2]} ... {text[-limit // 2 :]}"
    return repr(cut)
