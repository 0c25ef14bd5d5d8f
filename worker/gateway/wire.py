"""The wire format of the gateway: OpenAI's chat completions, as far as every provider can honour them.

Pure functions between JSON and the gateway's own models. Source of the format: OpenAI's API reference, "Create chat
completion", "List models" and "Error codes".
"""

import json
import math
from typing import Any, Literal

from shared.models.base import Frozen
from worker.gateway.base import Completion, Message

_ROLES: dict[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_HONOURED = frozenset({"model", "messages", "temperature", "max_tokens", "max_completion_tokens"})
_WITHOUT_EFFECT = frozenset({"user", "metadata", "store", "seed", "stream_options", "service_tier"})
_DEFAULTS = {"stream": False, "n": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0, "logprobs": False}
_MOST_MESSAGES = 1000


class WireError(Exception):
    """The request cannot be served; ``status``, ``kind`` and the message go back to the client."""

    def __init__(self, message: str, status: int = 400, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class WireRequest(Frozen):
    """A request as it came."""

    model: str
    """Empty where the client left it out."""
    messages: tuple[Message, ...]
    temperature: float | None
    max_tokens: int | None


def parse_request(body: bytes) -> WireRequest:
    """The request in ``body``; raises WireError saying what is wrong with it."""
    fields = _object(body)
    for name, value in fields.items():
        if name in _HONOURED or name in _WITHOUT_EFFECT or value is None:
            continue
        if name not in _DEFAULTS or value != _DEFAULTS[name]:
            raise WireError(f"This gateway does not support {name[:64]!r} with that value; leave it out.")
    model = fields.get("model") or ""
    if not isinstance(model, str):
        raise WireError("'model' must be a text.")
    limit = fields.get("max_tokens") if fields.get("max_completion_tokens") is None else fields["max_completion_tokens"]
    return WireRequest(
        model=model,
        messages=_messages(fields.get("messages")),
        temperature=_temperature(fields.get("temperature")),
        max_tokens=_limit(limit),
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise WireError("The body is not valid JSON.") from None
    if not isinstance(fields, dict):
        raise WireError("The body must be a JSON object.")
    return fields


def _messages(value: Any) -> tuple[Message, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= _MOST_MESSAGES:
        raise WireError(f"'messages' must be a list of 1 to {_MOST_MESSAGES} messages.")
    return tuple(_message(item) for item in value)


def _message(item: Any) -> Message:
    role = item.get("role") if isinstance(item, dict) else None
    if not isinstance(role, str) or role not in _ROLES:
        raise WireError("Each message needs a 'role' of 'system', 'user' or 'assistant', and a 'content'.")
    content = item.get("content")
    if isinstance(content, list):
        content = "".join(_part(part) for part in content)
    if not isinstance(content, str):
        raise WireError("The 'content' of a message must be a text.")
    try:
        content.encode()
    except UnicodeEncodeError:
        raise WireError("The 'content' of a message is not valid Unicode.") from None
    return Message(role=_ROLES[role], content=content)


def _part(part: Any) -> str:
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    raise WireError("The parts of a 'content' must be of the type 'text'.")


def _temperature(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2 or math.isnan(value):
        raise WireError("'temperature' must be a number from 0 to 2.")
    return float(value)


def _limit(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10**6:
        raise WireError("'max_tokens' must be a whole number of 1 or more.")
    return value


def completion_json(completion: Completion, model: str, number: int, created: int) -> dict[str, Any]:
    """``completion`` as the run's call number ``number``, at ``created`` seconds since 1970."""
    tokens = {"prompt_tokens": completion.input_tokens, "completion_tokens": completion.output_tokens}
    message = {"role": "assistant", "content": completion.text}
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": completion.finish_reason}],
        "usage": {**tokens, "total_tokens": sum(tokens.values())},
    }


def models_json(model: str) -> dict[str, Any]:
    """The list of the one model a run may call."""
    return {"object": "list", "data": [{"id": model, "object": "model", "created": 0, "owned_by": "scaffoldry"}]}


def error_json(message: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    """An error in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": None, "code": kind}}
