"""The process that serves a local model to all workers of this host: ``python -m worker.gateway.local_server``.

It listens on a random port of 127.0.0.1, behind a random key, writes where into ``server.json``, and ends by itself
some seconds after its last user. Users hold a shared lock on ``users.lock``, which the kernel takes from them whatever
ends them; the server ends once it has that lock for itself. While it lives it holds ``server.lock``.
"""

import argparse
import fcntl
import json
import os
import secrets
import sys
import time
from pathlib import Path

from shared.atomic import write_file

STATE_FILE, ALIVE_LOCK, USERS_LOCK = "server.json", "server.lock", "users.lock"
SLOTS = 4
"""Calls answered at the same time."""
CONTEXT = 4096
"""Tokens of prompt and answer together, for each slot."""
_POLL_SECONDS = 0.5
_BATCH = 512


def try_lock(descriptor: int, kind: int) -> bool:
    """Take a flock of ``kind`` without waiting; whether that worked."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main() -> int:
    """Serve until nobody is left."""
    parser = argparse.ArgumentParser(prog="worker.gateway.local_server", description="Serve a local model.")
    parser.add_argument("--model", required=True, help="GGUF file")
    parser.add_argument("--directory", required=True, type=Path, help="folder of the state file and locks")
    parser.add_argument("--threads", required=True, type=int)
    parser.add_argument("--linger", type=float, default=5.0, help="seconds to stay after the last user")
    arguments = parser.parse_args()
    directory: Path = arguments.directory
    alive = os.open(directory / ALIVE_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not try_lock(alive, fcntl.LOCK_EX):
        print("another server is alive", file=sys.stderr)
        return 1
    key = secrets.token_urlsafe(32)
    server, url = _serve(arguments.model, arguments.threads, key)
    state = {"pid": os.getpid(), "url": url, "key": key, "model": arguments.model}
    write_file(directory / STATE_FILE, json.dumps(state).encode())
    users = os.open(directory / USERS_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    _wait_until_unused(users, arguments.linger)
    # The lock is still held here, so that a new user waits until this process is gone.
    (directory / STATE_FILE).unlink(missing_ok=True)
    sys.stderr.flush()
    del server
    # Ending the model's threads one by one is of no use to anybody.
    os._exit(0)


def _serve(model: str, threads: int, key: str) -> tuple[object, str]:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [key]
    parameters.n_parallel = SLOTS
    parameters.n_ctx = SLOTS * CONTEXT
    parameters.n_batch = parameters.n_ubatch = _BATCH
    for cpu in (parameters.cpuparams, parameters.cpuparams_batch):
        cpu.n_threads = threads
        # Threads that wait must not burn the processors that the runs need.
        cpu.poll = 0
    # What was asked before must not change how an answer is worked out.
    parameters.cache_prompt = False
    parameters.cache_ram_mib = 0
    parameters.ui = parameters.endpoint_slots = False
    parameters.verbosity = 1
    server = xllamacpp.Server(parameters)
    return server, server.listening_address


def _wait_until_unused(users: int, linger: float) -> None:
    """Return, with ``users`` locked for this process alone, once nobody else has held it for ``linger`` seconds."""
    unused_since: float | None = None
    while True:
        time.sleep(_POLL_SECONDS)
        if not try_lock(users, fcntl.LOCK_EX):
            unused_since = None
            continue
        unused_since = unused_since or time.monotonic()
        if time.monotonic() - unused_since >= linger:
            return
        fcntl.flock(users, fcntl.LOCK_UN)


if __name__ == "__main__":
    sys.exit(main())
