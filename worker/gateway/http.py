"""A small HTTP server on a Unix socket, for clients that may be hostile."""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from worker.gateway.wire import WireError, error_json

_logger = logging.getLogger(__name__)

MOST_CONNECTIONS = 16
LARGEST_BODY = 1024 * 1024
_IDLE_SECONDS = 30.0
_BACKLOG = 64
OPEN_MODE = 0o666
"""Of the socket, once it is listened on."""

Reply = tuple[int, dict[str, Any]]
"""HTTP status and JSON object."""
Answer = Callable[[str, str, bytes], Reply]
"""From method, path and body to a reply; may raise WireError."""


class _Handler(BaseHTTPRequestHandler):
    """One connection. The base class bounds the request line (64 KiB) and the headers (100 of 64 KiB)."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    server: Any

    def do_GET(self) -> None:
        self._reply(b"")

    def do_POST(self) -> None:
        lengths = self.headers.get_all("Content-Length", [])
        if len(set(lengths)) != 1 or not lengths[0].isascii() or not lengths[0].isdecimal() or len(lengths[0]) > 9:
            return self.send_error(411, "A POST needs one Content-Length.")
        if "Transfer-Encoding" in self.headers:
            return self.send_error(400, "Chunked bodies are not supported; send a Content-Length.")
        size = int(lengths[0])
        if size > LARGEST_BODY:
            return self.send_error(413, f"The body is larger than {LARGEST_BODY} bytes.")
        body = self.rfile.read(size)
        if len(body) < size:
            self.close_connection = True
            return
        self._reply(body)

    def _reply(self, body: bytes) -> None:
        try:
            status, answer = self.server.answer(self.command, self.path, body)
        except WireError as error:
            status, answer = error.status, error_json(str(error), error.kind)
        except Exception:
            _logger.exception("the gateway failed to answer a request")
            status, answer = 500, error_json("The gateway failed to answer this request.", "server_error")
        self._send(status, answer)

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse the request in the shape of every other error, and end the connection."""
        self.close_connection = True
        # Not HTTP/0.9, whatever the request line was: that has no status.
        self.request_version = self.protocol_version
        self._send(code, error_json(message or "This is not a request the gateway understands."))

    def version_string(self) -> str:
        """What the ``Server`` header says: no versions."""
        return "scaffoldry"

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are recorded in the ledger, not on stderr."""


class UnixHttpServer:
    """Answers HTTP on ``path`` with a thread for each connection, of which more than a bound wait their turn."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.answer = answer
        self._slots = threading.Semaphore(MOST_CONNECTIONS)
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._closed = False
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listener.bind(str(path))
            self._listener.listen(_BACKLOG)
            path.chmod(OPEN_MODE)  # last: who finds it so, and is refused, knows that nobody listens any more
        except BaseException:
            self._listener.close()
            raise
        threading.Thread(target=self._accept, name="gateway", daemon=True).start()

    def _accept(self) -> None:
        while True:
            self._slots.acquire()
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if self._closed:
                    return
                # Out of file descriptors, most likely: this passes.
                self._slots.release()
                time.sleep(0.05)
                continue
            with self._lock:
                if self._closed:
                    connection.close()
                    return
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), name="gateway-call", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            _Handler(connection, "", self)  # type: ignore[arg-type]
        except OSError:
            # The client went away, or said nothing for too long.
            _logger.debug("a client of the gateway went away")
        except Exception:
            _logger.exception("a connection of the gateway failed")
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()
            self._slots.release()

    def close(self) -> None:
        """End all connections at once, without waiting for what they were doing. May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            connections = tuple(self._connections)
            for open_socket in (self._listener, *connections):
                try:
                    open_socket.shutdown(socket.SHUT_RDWR)
                except OSError:
                    # The peer was faster.
                    continue
        self._listener.close()
        self._slots.release()
