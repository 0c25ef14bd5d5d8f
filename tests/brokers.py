"""A Redis of a test's own: the users of the ACL file, a plain port and a TLS port; it can be stopped and started."""

import base64
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from shared.broker_acl import acl_lines
from tests.conftest import free_port

PASSWORDS = {"coordinator": "co/rd@1", "worker": "w0rker-secret", "flower": "fl:0wer"}
ADMIN = "the-tests-own"


class Broker:
    """A ``redis-server`` with append-only file and without eviction, as a lab runs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.tls_port = free_port(), free_port()
        make_certificates(folder)
        lines = [*acl_lines(PASSWORDS), f"user admin on >{ADMIN} ~* &* +@all"]
        (folder / "users.acl").write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--tls-port", str(self.tls_port), "--bind", "127.0.0.1"]
        command += ["--tls-cert-file", "server.crt", "--tls-key-file", "server.key", "--tls-ca-cert-file", "ca.crt"]
        command += ["--tls-auth-clients", "no", "--aclfile", str(self.folder / "users.acl"), "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction"]
        self._process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL)
        for _ in range(100):
            try:
                self.client("admin").ping()
                return
            except redis.RedisError:
                time.sleep(0.05)
        raise AssertionError("redis-server did not answer within 5 s")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def url(self, role: str, password: str | None = None) -> str:
        word = (password or PASSWORDS[role]).replace("/", "%2F").replace("@", "%40").replace(":", "%3A")
        return f"redis://{role}:{word}@127.0.0.1:{self.port}/0"

    def tls_url(self, role: str, host: str = "localhost") -> str:
        return (
            self.url(role).replace("redis://", "rediss://").replace(f"127.0.0.1:{self.port}", f"{host}:{self.tls_port}")
        )

    def client(self, role: str) -> Any:
        word = ADMIN if role == "admin" else PASSWORDS[role]
        return redis.Redis(port=self.port, username=role, password=word, decode_responses=True, protocol=2)

    def refusals(self) -> list[tuple[str, str, str]]:
        """What Redis refused and to whom, since last asked: (user, reason, object)."""
        admin = self.client("admin")
        entries = admin.acl_log()
        admin.acl_log_reset()
        return [(entry["username"], entry["reason"], entry["object"]) for entry in entries]


def make_certificates(folder: Path) -> None:
    """``ca.crt``, ``server.crt`` that it signed for localhost alone, and ``other.crt``, an authority of its own."""
    for name in ("ca", "other"):
        _openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                 "-keyout", f"{name}.key", "-out", f"{name}.crt")  # fmt: skip
    _openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
             "-keyout", "server.key", "-out", "server.csr")  # fmt: skip
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    _openssl(folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
             "-days", "2", "-extfile", "names", "-out", "server.crt")  # fmt: skip


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@contextmanager
def all_that_is_said_to(url: str) -> Iterator[list[str]]:
    """Every command that a Redis is given while the context lasts, with all its words; whole once it has ended."""
    said: list[str] = []
    end = "this is the end"
    server: Any = redis.Redis.from_url(url, socket_timeout=None)
    with server.monitor() as monitor:

        def listen() -> None:
            for command in monitor.listen():
                if end in command["command"]:
                    return
                said.append(command["command"])

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield said
        finally:
            server.echo(end)
            thread.join(10)
            server.close()


def is_said(text: str, said: list[str]) -> bool:
    """Whether a text is among what was said, as it is or within something in base64, as Celery's messages are."""
    forms, data = [text], text.encode()
    for before in range(3):  # base64 writes three bytes at a time: the text may begin at each of them
        written = base64.b64encode(b"\0" * before + data).decode()
        forms.append(written[-(-before * 8 // 6) : (before + len(data)) * 8 // 6])  # what is of the text alone
    return any(form in command for command in said for form in forms)
