"""The models one can name, whether they can be used here, and fetching their weights."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from shared.errors import ModelConfigError, ModelUnavailable
from shared.model_names import LOCAL_MODELS, ModelRef, parse_model
from shared.models.base import Frozen
from shared.models.spec import ModelSpec
from shared.settings import get_settings, secret
from worker.gateway import weights
from worker.gateway.keys import find_key, key_variable

_SAMPLES = ("sim/echo", "sim/arithmetic", "sim/script:FILE", *(f"local/{name}" for name in LOCAL_MODELS))


class ModelState(Frozen):
    """A model's name and whether it can be used on this host."""

    name: str
    state: Literal["ready", "weights missing", "key missing", "not usable"]
    detail: str = ""
    """What the model is, or the command or variable that mends what is missing."""


_ABOUT = {
    "sim/echo": "answers with the prompt",
    "sim/arithmetic": "solves the arithmetic in a prompt, wrongly at a set rate: sim/arithmetic:0.3",
    "sim/script:FILE": "answers from a YAML or JSON file",
    "local/smollm2": "SmolLM2 135M on this host's processors",
}


def model_state(ref: ModelRef) -> ModelState:
    """Whether the model ``ref`` can be used here, as far as that shows without asking it."""
    if ref.provider == "local":
        return _local_state(ref)
    if ref.script is not None and ref.script != "FILE" and not Path(ref.script).is_file():
        return ModelState(name=ref.alias, state="not usable", detail=f"there is no file {ref.script}")
    variable = key_variable(ref)
    if variable and secret(variable) is None:
        return ModelState(name=ref.alias, state="key missing", detail=f"set {variable} in the environment or in .env")
    about = f"with the key in {variable}" if variable else _ABOUT.get(ref.alias, "")
    return ModelState(name=ref.alias, state="ready", detail=about)


def check_model(name: str, aliases: Mapping[str, Any]) -> None:
    """Raise ModelUnavailable or ModelConfigError, with what to do, unless the model can be called from this host.

    ``aliases`` is the spec's ``models``. Nothing is asked of the model itself.
    """
    ref = parse_model(name, {alias: ModelSpec.model_validate(model) for alias, model in aliases.items()})
    if ref.provider == "local":
        reason = weights.missing(ref.model, get_settings().cache_dir)
        if reason:
            raise ModelUnavailable(f"The model local/{ref.model} cannot run here: {reason}")
    find_key(ref)


def _local_state(ref: ModelRef) -> ModelState:
    cache_dir = get_settings().cache_dir
    reason = weights.missing(ref.model, cache_dir)
    if reason is None:
        return ModelState(name=ref.alias, state="ready", detail=_ABOUT.get(ref.alias, ""))
    state = "weights missing" if not weights.has_weights(ref.model, cache_dir) else "not usable"
    return ModelState(name=ref.alias, state=state, detail=reason)


def list_models() -> tuple[ModelState, ...]:
    """Every kind of model there is, and its state on this host."""
    refs = [parse_model(name, {}) for name in _SAMPLES]
    refs += [
        ModelRef(alias=f"{provider}/NAME", provider=provider, model="NAME") for provider in ("openai", "anthropic")
    ]
    return tuple(model_state(ref) for ref in refs)


def render_models(states: tuple[ModelState, ...]) -> str:
    """``states`` as a table of plain text."""
    name_width = max(len(state.name) for state in states)
    state_width = max(len(state.state) for state in states)
    return "\n".join(
        f"{state.name:<{name_width}}  {state.state:<{state_width}}  {state.detail}".rstrip() for state in states
    )


def pull_model(name: str, report: Callable[[str], None] | None = None) -> Path | None:
    """Fetch what the model ``name`` needs; the path of its weights, or None where it needs none.

    Raises UnknownName, ModelConfigError for a model whose weights cannot be fetched, and ModelUnavailable.
    """
    local_names = [f"local/{model}" for model in LOCAL_MODELS]
    ref = parse_model(name, {})
    if ref.provider == "local":
        return weights.pull(ref.model, get_settings().cache_dir, report)
    if ref.provider == "sim":
        return None
    raise ModelConfigError(f"{name} runs elsewhere: there is nothing to fetch. Known: {', '.join(local_names)}.")
