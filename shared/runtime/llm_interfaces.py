"""How a scaffold reaches its model: one HTTP request over the socket that lies in its container.

Only ``json`` and ``socket`` of the standard library are used, and these when they are needed.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

_DEFAULT_SOCKET = "/run/scaffoldry/gateway.sock"
_MOST_BYTES = 64 * 1024 * 1024


class LLMError(RuntimeError):
    """The model gave no answer."""


def complete(messages: "list[dict[str, str]]") -> str:
    """Send chat messages ``{"role": ..., "content": ...}`` to the run's model and return its answer.

    Thread-safe. Raises LLMError, which says why there is no answer.
    """
    import json

    request = {"model": os.environ.get("SCAFFOLDRY_MODEL", ""), "messages": messages}
    status, body = _post(json.dumps(request).encode("ascii"))
    try:
        answer = json.loads(body)
        if status == 200:
            return str(answer["choices"][0]["message"]["content"])
        reason = answer["error"]["message"]
    except (ValueError, KeyError, IndexError, TypeError):
        reason = "the answer is not one of the gateway's"
    raise LLMError("The model call failed (%d): %s" % (status, reason))  # noqa: UP031


def _post(body: bytes) -> "tuple[int, bytes]":
    """Status and body of the reply. HTTP/1.0: the reply ends where the connection does."""
    import socket

    head = "POST /v1/chat/completions HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(os.environ.get("SCAFFOLDRY_SOCKET", _DEFAULT_SOCKET))
        _send(connection, (head % len(body)).encode("ascii") + body)
        reply = _read_to_end(connection)
    except OSError as error:
        raise LLMError("The model cannot be reached: %s." % (error.strerror or error)) from None
    finally:
        connection.close()
    head_bytes, _, content = reply.partition(b"\r\n\r\n")
    words = head_bytes.split(None, 2)
    if len(words) < 2 or not words[1].isdigit():
        raise LLMError("The model call was cut off.")
    return int(words[1]), content


def _send(connection: "socket.socket", data: bytes) -> None:
    try:
        connection.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        # Refused before all of it was read: the reply says why, and where there is none, reading it fails.
        return


def _read_to_end(connection: "socket.socket") -> bytes:
    chunks, size = [], 0
    while size < _MOST_BYTES:
        chunk = connection.recv(65536)
        if not chunk:
            break
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)
