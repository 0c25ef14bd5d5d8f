"""What the exceptions of the model SDKs mean to the gateway."""

from typing import Any

from pydantic import SecretStr

from worker.gateway.base import ProviderError, ProviderTimeout, TransientProviderError

_TRANSIENT = frozenset({408, 409, 425, 429})
_LONGEST_MESSAGE = 500


def provider_error(error: Exception, name: str, key: SecretStr | None) -> ProviderError:
    """The gateway's word for an exception of ``openai`` or ``anthropic``, with the key taken out of its message.

    Both SDKs are made by the same generator: status errors carry ``status_code``, ``response`` and ``body``; a timeout
    is an ``APITimeoutError``, a lost connection an ``APIConnectionError``.
    """
    kind = type(error).__name__
    status = getattr(error, "status_code", None)
    if kind == "APITimeoutError":
        return ProviderTimeout(f"{name} did not answer in time.")
    if status is None or status < 400:
        return TransientProviderError(f"{name} cannot be reached or answers with something else ({kind}).")
    # What a provider says of a key quotes parts of it.
    said = "the key is not accepted" if status in (401, 403) else _message(error)
    message = redact(f"{name} answered {status}: {said}", key)
    if status >= 500 or (status in _TRANSIENT and not _out_of_credit(error)):
        return TransientProviderError(message, status, _retry_after(error))
    return ProviderError(message, status)


def redact(text: str, key: SecretStr | None) -> str:
    """``text``, shortened, with the key's value replaced."""
    value = key.get_secret_value() if key else ""
    clean = text.replace(value, "***") if value else text
    return clean if len(clean) <= _LONGEST_MESSAGE else clean[:_LONGEST_MESSAGE] + "..."


def _message(error: Exception) -> str:
    detail = _detail(error)
    return str(detail.get("message") or getattr(error, "message", "") or type(error).__name__)


def _detail(error: Exception) -> dict[str, Any]:
    """The error object of the response; one SDK unwraps it from ``{"error": ...}``, the other does not."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else None
    return inner if isinstance(inner, dict) else {}


def _out_of_credit(error: Exception) -> bool:
    return _detail(error).get("code") == "insufficient_quota"


def _retry_after(error: Exception) -> float | None:
    headers = getattr(getattr(error, "response", None), "headers", {})
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) / unit)
        except (KeyError, ValueError):
            continue
    return None
