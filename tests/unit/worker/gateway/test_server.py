"""A run's gateway, as the program in the container meets it."""

import json
import os
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.errors import UsageError
from shared.model_names import parse_model
from worker.gateway.base import ChatRequest, Completion, Provider, ProviderError, TransientProviderError
from worker.gateway.server import ABANDONED, Gateway, GatewayConfig, open_gateway
from worker.gateway.socket_dir import remove_stray_sockets


def config(**fields: Any) -> GatewayConfig:
    return GatewayConfig(model=parse_model("sim/arithmetic:0", {}), **{"backoff": 0.001, **fields})


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with open_gateway(config(max_calls=5)) as opened:
        yield opened


def raw(gateway: Gateway, data: bytes, finish: bool = True) -> bytes:
    """What comes back for ``data``, up to the end of the connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(20)
        client.connect(str(gateway.directory / "gateway.sock"))
        try:
            client.sendall(data)
            if finish:
                client.shutdown(socket.SHUT_WR)
        except BrokenPipeError:
            # Refused before all of it was read.
            finish = False
        reply = b""
        try:
            while chunk := client.recv(65536):
                reply += chunk
        except ConnectionResetError:
            return reply
        return reply


def post(gateway: Gateway, body: Any, path: str = "/v1/chat/completions") -> tuple[int, dict[str, Any]]:
    data = json.dumps(body).encode()
    return parse(raw(gateway, f"POST {path} HTTP/1.0\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data))


def parse(reply: bytes) -> tuple[int, dict[str, Any]]:
    head, _, body = reply.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def ask(text: str = "2 + 3", **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **fields}


def test_a_call_is_answered_and_recorded(gateway: Gateway) -> None:
    status, answer = post(gateway, ask())
    assert status == 200
    assert answer["choices"][0]["message"]["content"] == "5"
    assert answer["model"] == "sim/arithmetic:0"
    usage = gateway.usage()
    assert (usage.calls, usage.input_tokens, usage.output_tokens, usage.usd) == (1, 3, 1, 0.0)
    assert [call.status for call in gateway.calls] == [200]


def test_several_requests_on_one_connection(gateway: Gateway) -> None:
    body = json.dumps(ask()).encode()
    one = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    assert raw(gateway, one * 3).count(b"HTTP/1.1 200") == 3


def test_the_models_are_the_one_of_the_run(gateway: Gateway) -> None:
    status, answer = parse(raw(gateway, b"GET /v1/models HTTP/1.0\r\n\r\n"))
    assert status == 200
    assert [model["id"] for model in answer["data"]] == ["sim/arithmetic:0"]


def test_another_model_is_not_found_and_costs_nothing(gateway: Gateway) -> None:
    assert post(gateway, ask(model="sim/arithmetic:0"))[0] == post(gateway, ask(model=""))[0] == 200
    status, answer = post(gateway, ask(model="openai/expensive"))
    assert (status, answer["error"]["code"]) == (404, "model_not_found")
    assert gateway.usage().calls == 2


def test_a_call_beyond_the_budget(gateway: Gateway) -> None:
    assert [post(gateway, ask())[0] for _ in range(5)] == [200] * 5
    assert not gateway.budget_exceeded
    status, answer = post(gateway, ask())
    assert (status, answer["error"]["code"]) == (429, "budget_exceeded")
    assert gateway.budget_exceeded
    assert gateway.usage().calls == 5


BODY = b'{"messages": [{"role": "user", "content": "2 + 3"}]}'
POST = b"POST /v1/chat/completions HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x00\x01\x02\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"GET / NONSENSE\r\n\r\n", 400),
        (b"BREW / HTTP/1.1\r\n\r\n", 501),
        (b"PUT /v1/models HTTP/1.1\r\n\r\n", 501),
        (b"GET /etc/passwd HTTP/1.1\r\n\r\n", 404),
        (b"GET /../../etc/passwd HTTP/1.1\r\n\r\n", 404),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 70_000 + b"\r\n\r\n", 431),
        (POST + b"\r\n" + BODY, 411),
        (POST + b"Content-Length: -1\r\n\r\n" + BODY, 411),
        (POST + b"Content-Length: 1e3\r\n\r\n" + BODY, 411),
        (POST + b"Content-Length: 99999999999999999999\r\n\r\n" + BODY, 411),
        (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + BODY, 411),
        (POST + b"Content-Length: 5000000\r\n\r\n" + BODY, 413),
        (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 400),
        (POST + b"Content-Length: 4\r\n\r\n{]}[", 400),
        (POST + b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000, 400),
    ],
)
def test_junk_is_refused_in_the_shape_of_an_error(
    gateway: Gateway, data: bytes, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    answered, body = parse(raw(gateway, data))
    assert (answered, bool(body["error"]["message"])) == (status, True)
    assert post(gateway, ask())[0] == 200
    assert capfd.readouterr().err == ""


def test_a_body_that_ends_early_is_nobodys_call(gateway: Gateway) -> None:
    assert raw(gateway, POST + b"Content-Length: 1000\r\n\r\n" + BODY) == b""
    assert gateway.usage().calls == 0
    assert post(gateway, ask())[0] == 200


def test_clients_that_hang_up_are_no_trouble(gateway: Gateway, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(50):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(str(gateway.directory / "gateway.sock"))
            client.sendall(POST + b"Content-Length: 52\r\n\r\n" + BODY[:-1])
    assert post(gateway, ask())[0] == 200
    assert capfd.readouterr().err == ""


def test_idle_connections_are_bounded_and_die_with_the_run() -> None:
    threads_before = threading.active_count()
    with open_gateway(config()) as gateway:
        clients = []
        for _ in range(40):
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            client.settimeout(20)
            client.connect(str(gateway.directory / "gateway.sock"))
            client.sendall(b"POST /v1")
            clients.append(client)
        time.sleep(0.1)
        assert threading.active_count() - threads_before <= 33
    for client in clients:
        with client:
            try:
                assert client.recv(10) == b""
            except ConnectionResetError:
                continue


def test_who_may_reach_the_socket(gateway: Gateway) -> None:
    directory = gateway.directory
    assert stat.S_IMODE((directory / "gateway.sock").stat().st_mode) == 0o666
    assert stat.S_IMODE(directory.stat().st_mode) == 0o711
    assert stat.S_IMODE(directory.parent.stat().st_mode) == 0o700
    assert [path.name for path in directory.iterdir()] == ["gateway.sock"]


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    short = Path("/tmp") / f"gw-{tmp_path.name[-8:]}-{time.time_ns() % 10**6}"
    with open_gateway(config(), short) as gateway:
        assert gateway.directory.is_relative_to(short)
        assert post(gateway, ask())[0] == 200
    gateway.close()
    assert list(short.iterdir()) == []
    short.rmdir()


def test_a_folder_too_deep_for_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    with pytest.raises(UsageError, match="SCAFFOLDRY_SOCKET_DIR"):
        open_gateway(config(), deep)
    assert list(deep.iterdir()) == []


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path: Unix sockets have bounds."""
    with tempfile.TemporaryDirectory(prefix="gw-") as folder:
        yield Path(folder)


def test_stray_sockets_are_removed_at_once_and_live_ones_left(short: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        stray = short / "scaffoldry-stray.g" / "g"
        stray.mkdir(parents=True)
        dead.bind(str(stray / "gateway.sock"))
        (stray / "gateway.sock").chmod(0o666)
        (short / "scaffoldry-other").mkdir()
        with open_gateway(config(), short) as gateway:
            assert remove_stray_sockets(short) == 1
            assert post(gateway, ask())[0] == 200
    assert [path.name for path in short.iterdir()] == ["scaffoldry-other"]


@pytest.mark.parametrize("bound", [False, True])
def test_what_may_yet_become_a_socket_is_left_for_a_while(short: Path, bound: bool) -> None:
    private = short / "scaffoldry-new.g"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unborn:
        (private / "g").mkdir(parents=True)
        if bound:
            unborn.bind(str(private / "g" / "gateway.sock"))
        assert remove_stray_sockets(short) == 0
        os.utime(private, (time.time() - 25, time.time() - 25))
        assert remove_stray_sockets(short) == 1


class Failing(Provider):
    """Fails as told; ``probe_fails`` says whether it fails at plain questions too."""

    def __init__(self, error: ProviderError, probe_fails: bool) -> None:
        self.error = error
        self.probe_fails = probe_fails

    def complete(self, request: ChatRequest) -> Completion:
        raise self.error

    def probe(self, request: ChatRequest) -> None:
        if self.probe_fails:
            raise self.error


def test_an_outage_is_told_apart_and_tells_the_program_nothing() -> None:
    with open_gateway(config(), provider=Failing(TransientProviderError("account 123 is down"), True)) as gateway:
        status, answer = post(gateway, ask())
        assert (status, answer["error"]["message"]) == (503, "The model cannot be reached.")
        assert gateway.provider_failed == "account 123 is down"
        assert post(gateway, ask())[0] == 503
    assert [call.status for call in gateway.calls] == [503, 503]


def test_what_the_program_brought_about_is_no_outage() -> None:
    with open_gateway(config(), provider=Failing(ProviderError("the text is too long", 400), False)) as gateway:
        status, answer = post(gateway, ask())
    assert (status, answer["error"]["message"]) == (400, "the text is too long")
    assert gateway.provider_failed is None


class Recording(Provider):
    def __init__(self) -> None:
        self.requests: list[ChatRequest] = []

    def complete(self, request: ChatRequest) -> Completion:
        self.requests.append(request)
        return Completion(text="x")


def test_the_specs_settings_fill_in_and_bound() -> None:
    provider = Recording()
    with open_gateway(config(temperature=0.3, max_tokens=50, seed=7), provider=provider) as gateway:
        for fields in ({}, {}, {"temperature": 1, "max_tokens": 10}, {"max_tokens": 1000}):
            assert post(gateway, ask(**fields))[0] == 200
    asked = [(r.temperature, r.max_tokens, r.seed, r.call) for r in provider.requests]
    assert asked == [(0.3, 50, 7, 0), (0.3, 50, 7, 1), (1.0, 10, 7, 2), (0.3, 50, 7, 3)]


class Hanging(Provider):
    def __init__(self) -> None:
        self.called = threading.Event()
        self.release = threading.Event()

    def complete(self, request: ChatRequest) -> Completion:
        self.called.set()
        self.release.wait(30)
        return Completion(text="late", input_tokens=5)


def test_closing_abandons_calls_under_way() -> None:
    provider = Hanging()
    replies: list[bytes] = []
    gateway = open_gateway(config(), provider=provider)
    request = POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    client = threading.Thread(target=lambda: replies.append(raw(gateway, request, finish=False)))
    client.start()
    assert provider.called.wait(20)
    gateway.close()
    client.join(20)
    provider.release.set()
    assert replies == [b""]
    assert [call.status for call in gateway.calls] == [ABANDONED]
    assert gateway.usage().input_tokens == 0
    assert not gateway.directory.exists()
