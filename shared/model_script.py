"""The answers of ``sim/script:FILE``: a list of texts, or a list of rules ``{match: REGEX, answer: TEXT or TEXTS}``."""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from shared.errors import ModelConfigError
from shared.models.base import Frozen


def _as_answers(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Rule(Frozen):
    """The answers to messages in which ``match`` is found; they take turns."""

    match: re.Pattern[str]
    answer: Annotated[tuple[str, ...], BeforeValidator(_as_answers)]


_SCRIPT: TypeAdapter[tuple[str, ...] | tuple[Rule, ...]] = TypeAdapter(tuple[str, ...] | tuple[Rule, ...])


def read_script(path: Path) -> str:
    """The text of a script; raises ModelConfigError where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ModelConfigError(f"The script {path} of sim/script cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ModelConfigError(f"The script {path} of sim/script is not text in UTF-8.") from None


def parse_script(text: str, name: str) -> tuple[Rule, ...]:
    """The rules in ``text``; ``name`` is the file's, for the sentence of the ModelConfigError that a bad one raises.

    A list of texts is one rule that every message fits.
    """
    try:
        # JSON is YAML as well.
        script = _SCRIPT.validate_python(YAML(typ="safe").load(text))
    except (YAMLError, ValidationError, re.error):
        raise ModelConfigError(
            f"The script {name} of sim/script is neither a list of texts nor a list of rules "
            "{match: REGEX, answer: TEXT or list of TEXTS}."
        ) from None
    rules = tuple(rule for rule in script if isinstance(rule, Rule))
    texts = tuple(text for text in script if isinstance(text, str))
    if not script or any(not rule.answer for rule in rules):
        raise ModelConfigError(f"The script {name} of sim/script holds no answers.")
    return rules or (Rule(match=re.compile(""), answer=texts),)
