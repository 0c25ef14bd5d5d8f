"""Which key opens which model."""

from pydantic import SecretStr

from shared.errors import ModelConfigError
from shared.model_names import ModelRef
from shared.settings import get_settings, secret

_VARIABLES = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}


def key_variable(ref: ModelRef) -> str | None:
    """The variable that holds the key of ``ref``; None where no key is sent.

    A spec that names an address of its own gets no key it does not ask for: the key of the provider's account is
    not for strangers.
    """
    return ref.api_key_env or (None if ref.base_url else _VARIABLES.get(ref.provider))


def find_key(ref: ModelRef) -> SecretStr | None:
    """The key of ``ref``, or None where it needs none; raises ModelConfigError naming the variable that is not set."""
    variable = key_variable(ref)
    if variable is None:
        return None
    key = secret(variable)
    if key is None:
        raise ModelConfigError(
            f"The model {ref.alias!r} needs a key: set {variable} in the worker's environment, or in its .env file."
        )
    return key


def base_url(ref: ModelRef) -> str | None:
    """Where ``ref`` answers; None for the provider's own address."""
    settings = get_settings()
    return ref.base_url or {"openai": settings.openai_base_url, "anthropic": settings.anthropic_base_url}[ref.provider]
