"""A model provider for one world: it speaks OpenAI's protocol on the loopback address, and misbehaves when told to."""

import hashlib
import json
import random
import re
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_SUM = re.compile(r"(\d+) \+ (\d+)")
_HANG_SECONDS = 15.0
DECK = {"refuse": 3, "fail": 3, "hang": 1, "answer": 23}
"""How often it does what in thirty calls, while it misbehaves."""


class ScriptedProvider:
    """Answers sums, some of them wrongly and always the same ones. Listens from its making to ``close``."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        """How many calls arrived, by what was done with them: a name of ``DECK``."""
        self._deck: list[str] = []
        self._dice: random.Random | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="provider", daemon=True).start()

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def misbehave(self, dice: random.Random | None) -> None:
        """From now on refuse, fail and hang now and then; None: no more."""
        self._dice = dice

    def close(self) -> None:
        """Listen no more."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _mood(self) -> str:
        with self._lock:
            if self._dice and not self._deck:
                self._deck = [mood for mood, times in DECK.items() for _ in range(times)]
                self._dice.shuffle(self._deck)
            mood = self._deck.pop() if self._dice else "answer"
            self.calls[mood] += 1
            return mood

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                mood = provider._mood()
                if mood == "refuse":
                    self._say(429, {"error": {"message": "slow down"}}, {"retry-after": "1"})
                elif mood == "fail":
                    self._say(500, {"error": {"message": "out of order"}})
                elif mood == "hang":
                    provider._closing.wait(_HANG_SECONDS)
                    self.close_connection = True
                else:
                    self._say(200, completion(request))

            def _say(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"content-type": "application/json", **(headers or {})}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                """Nobody reads it."""

        return Handler


def completion(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request, the same for the same words."""
    text = str(request["messages"][-1]["content"])
    found = _SUM.search(text)
    answer = str(int(found[1]) + int(found[2]) + (_luck(text) < 0.3)) if found else "OK"
    message = {"role": "assistant", "content": answer}
    return {
        "id": "selftest",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": "selftest",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": len(text.split()), "completion_tokens": 1, "total_tokens": len(text.split()) + 1},
    }


def _luck(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32
