"""From a model's name to the provider that answers for it."""

import os
import threading
from collections.abc import Callable

from shared.model_names import ModelRef
from shared.registry import Registry
from worker.gateway.base import Provider

PROVIDERS = Registry(
    "provider",
    {
        "sim": "worker.gateway.sim:build",
        "local": "worker.gateway.local:build",
        "openai": "worker.gateway.openai:build",
        "anthropic": "worker.gateway.anthropic:build",
    },
)

_built: dict[tuple[int, ModelRef], Provider] = {}
_lock = threading.Lock()


def build_provider(ref: ModelRef) -> Provider:
    """The provider of ``ref``: one for this whole process, so that connections are shared among runs.

    Raises ModelConfigError (a missing key or script) and ModelUnavailable (missing weights).
    """
    # A forked child must not use its parent's connections.
    key = (os.getpid(), ref)
    with _lock:
        if key not in _built:
            build: Callable[[ModelRef], Provider] = PROVIDERS.get(ref.provider)
            _built[key] = build(ref)
        return _built[key]
