"""A provider of models that counts what it is asked, and wants a key."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SCAFFOLD = """```python
from llm_executor import execute_llm


def process_input(input_string):
    return [execute_llm(f"{input_string} {number}") for number in range(3)][-1]
```"""


ANSWER_SECONDS = 0.03
"""What each answer takes."""


class Provider(ThreadingHTTPServer):
    """Speaks the protocol of OpenAI: one scaffold for whoever asks for scaffolds, and else the same word."""

    daemon_threads = True

    def __init__(self, key: str) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.key = key
        self.lock = threading.Lock()
        self.requests: list[str] = []
        self.now = self.most_at_once = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Answer(BaseHTTPRequestHandler):
    """One request; every seventh is refused for a moment, so that it is tried again."""

    server: Provider

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with self.server.lock:
            self.server.requests.append(text)
            number = len(self.server.requests)
            self.server.now += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.now)
        assert self.headers["Authorization"] == f"Bearer {self.server.key}"
        time.sleep(ANSWER_SECONDS)
        with self.server.lock:
            self.server.now -= 1
        if number % 7 == 0:
            self._reply(503, {"error": {"message": "busy"}})
            return
        content = SCAFFOLD if "scaffold" in text else "seven"
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
        usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
        self._reply(
            200,
            {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
            | {"usage": usage},
        )

    def _reply(self, code: int, record: dict[str, Any]) -> None:
        body = json.dumps(record).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@contextmanager
def provider(key: str) -> Iterator[Provider]:
    """A provider on a free port of the loopback address, for who has that key."""
    with Provider(key) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
