"""An engine that answers, and is too old to confine a scaffold."""

import json
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.conftest import scaffoldry

pytestmark = [pytest.mark.redis]

VERSION = {"Version": "18.09.1", "ApiVersion": "1.39", "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64"}


class Answers(BaseHTTPRequestHandler):
    """Docker's API as far as what an engine is, and no further."""

    def do_GET(self) -> None:
        asked = self.path.partition("?")[0].rpartition("/")[2]
        found = {"version": VERSION, "info": {"OSType": "linux"}}.get(asked)
        body = json.dumps(found or {"message": "page not found"}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing: there is no client's address to be named."""


@pytest.fixture
def old_engine() -> Iterator[str]:
    """Its URL."""
    with tempfile.TemporaryDirectory() as folder:  # a short path
        path = f"{folder}/docker.sock"
        with socketserver.ThreadingUnixStreamServer(path, Answers) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"unix://{path}"
            server.shutdown()


@pytest.mark.parametrize("command", ["worker", "doctor"])
def test_no_worker_serves_with_it(old_engine: str, redis_url: str, tmp_path: Path, command: str) -> None:
    where = ("--broker-url", redis_url, "--data-dir", str(tmp_path))
    done = scaffoldry(command, *where, cwd=tmp_path, DOCKER_HOST=old_engine)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "18.09.1 is too old: it speaks API 1.39" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
