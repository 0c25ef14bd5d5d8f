"""What a model's name means. Pure: nothing here knows whether the model can be reached."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from shared.errors import ModelConfigError, UnknownName
from shared.models.base import Frozen
from shared.models.spec import ModelSpec, Price
from shared.registry import nearest

ProviderName = Literal["sim", "local", "openai", "anthropic"]
DEFAULT_ERROR_RATE = 0.2
LOCAL_MODELS = ("smollm2",)
MOCK_MODEL = "sim/mock"
"""What proposed scaffolds are tried out with."""
NAMES = ("sim/echo", "sim/arithmetic", "sim/script:FILE", MOCK_MODEL, "local/smollm2", "openai/NAME", "anthropic/NAME")
"""How models are named where no alias stands for them."""

_FREE = Price(input=0.0, output=0.0)
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,199}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


class ModelRef(Frozen):
    """A model, fully named."""

    alias: str
    """What scaffolds call it."""
    provider: ProviderName
    model: str
    """The provider's own name for it."""
    error_rate: float | None = Field(default=None, ge=0, le=1)
    """``sim/arithmetic`` alone: the share of answers that are wrong."""
    script: str | None = None
    """``sim/script`` alone: the file of answers."""
    script_text: str | None = None
    """``sim/script`` alone: what stood in that file when the experiment began; None: it is to be read."""
    base_url: str | None = None
    api_key_env: str | None = None
    price: Price | None = None
    """None: not known, so that cost is not known either."""


def parse_model(name: str, aliases: Mapping[str, ModelSpec]) -> ModelRef:
    """The model called ``name``: one of the spec's ``models``, or a name with its provider, such as ``sim/echo``.

    Raises UnknownName with the nearest and the known names, and ModelConfigError where a name is right but its
    options are not.
    """
    spec = aliases.get(name)
    if spec is None:
        return ModelRef(alias=name, **_parse(name, aliases))
    if not _ALIAS.fullmatch(name):
        raise ModelConfigError(
            f"{name!r} cannot name a model: use 1 to 128 letters, digits, '.', '_', ':', '/' or '-', "
            "starting with a letter or digit."
        )
    fields = _parse(spec.model, {})
    _check_endpoint(name, fields["provider"], spec)
    fields["price"] = spec.price or fields.get("price")
    return ModelRef(alias=name, base_url=spec.base_url, api_key_env=spec.api_key_env, **fields)


def _parse(name: str, aliases: Mapping[str, ModelSpec]) -> dict[str, Any]:
    provider, slash, model = name.partition("/")
    fields = _PARSERS[provider](model) if slash and provider in _PARSERS else None
    if fields is None:
        raise UnknownName(f"There is no model named {name!r}{nearest(name, [*aliases, *NAMES])}")
    return {"provider": provider, **fields}


def _sim(model: str) -> dict[str, Any] | None:
    kind, colon, option = model.partition(":")
    if model in ("echo", "mock"):
        return {"model": kind, "price": _FREE}
    if kind == "arithmetic":
        return {"model": kind, "error_rate": _rate(option) if colon else DEFAULT_ERROR_RATE, "price": _FREE}
    if kind == "script" and colon:
        if not option or "\0" in option:
            raise ModelConfigError("sim/script needs the file with its answers: write it as sim/script:answers.yaml.")
        return {"model": kind, "script": option, "price": _FREE}
    return None


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise ModelConfigError(
            f"{text!r} is not an error rate for sim/arithmetic: use a number from 0 to 1, as in sim/arithmetic:0.3."
        )
    return rate


def _local(model: str) -> dict[str, Any] | None:
    return {"model": model, "price": _FREE} if model in LOCAL_MODELS else None


def _hosted(model: str) -> dict[str, Any] | None:
    return {"model": model} if _MODEL.fullmatch(model) else None


_PARSERS: dict[str, Callable[[str], dict[str, Any] | None]] = {
    "sim": _sim,
    "local": _local,
    "openai": _hosted,
    "anthropic": _hosted,
}


def _check_endpoint(alias: str, provider: str, spec: ModelSpec) -> None:
    if provider in ("sim", "local") and (spec.base_url or spec.api_key_env):
        raise ModelConfigError(f"The model {alias!r} is {spec.model}, which takes neither base_url nor api_key_env.")
    if spec.api_key_env is not None and not _VARIABLE.fullmatch(spec.api_key_env):
        # The value is not repeated: it may be a key put in the wrong place.
        raise ModelConfigError(
            f"api_key_env of the model {alias!r} must be the name of an environment variable, such as "
            "OPENAI_API_KEY; the key itself never stands in a spec."
        )
    if spec.base_url is not None and not _is_plain_url(spec.base_url):
        raise ModelConfigError(
            f"base_url of the model {alias!r} must be an http:// or https:// address without a name or password in it."
        )


def _is_plain_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return False
