"""What every provider promises, and what the hosted ones make of a server's moods."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from shared.budget import Budget
from shared.errors import ModelConfigError
from shared.file_manager import ExperimentFileManager
from shared.model_names import ModelRef, parse_model
from shared.models.spec import BudgetSpec, ModelSpec
from shared.settings import get_settings
from worker.gateway import weights
from worker.gateway.base import (
    ChatRequest,
    Completion,
    Message,
    Provider,
    ProviderError,
    ProviderTimeout,
    TransientProviderError,
)
from worker.gateway.budgeted import BudgetedProvider
from worker.gateway.providers import PROVIDERS
from worker.gateway.server import GatewayConfig, open_gateway

KEY = "sk-test-0123456789abcdef"
Mood = Callable[["StubHandler"], None]


class StubHandler(BaseHTTPRequestHandler):
    """Speaks the wire formats of OpenAI's chat completions and Anthropic's messages."""

    server: "Stub"
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append({"path": self.path, "headers": dict(self.headers), "body": body})
        mood = self.server.moods.pop(0) if len(self.server.moods) > 1 else self.server.moods[0]
        mood(self)

    def send(self, status: int, body: Any, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests print nothing."""


class Stub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), StubHandler)
        self.seen: list[dict[str, Any]] = []
        self.moods: list[Mood] = [succeed]
        self.released = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


def succeed(handler: StubHandler) -> None:
    last = handler.server.seen[-1]["body"]["messages"][-1]["content"]
    text = f"You said: {last}"
    if handler.path.endswith("/messages"):
        content = [{"type": "text", "text": text[:4]}, {"type": "text", "text": text[4:]}]
        usage = {"input_tokens": 12, "output_tokens": 7}
        handler.send(
            200,
            {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": content}
            | {"stop_reason": "end_turn", "stop_sequence": None, "usage": usage},
        )
    else:
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}
        choices = [{"index": 0, "finish_reason": "stop", "message": message}]
        handler.send(
            200,
            {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": usage},
        )


def fail(status: int, **headers: str) -> Mood:
    """An error whose message gives the caller's key away, as careless servers do."""

    def mood(handler: StubHandler) -> None:
        sent = handler.headers.get("Authorization") or handler.headers.get("x-api-key")
        error = {"message": f"it went wrong with {sent}", "type": "some_error", "code": None}
        handler.send(status, {"type": "error", "error": error}, **headers)

    return mood


def hang(handler: StubHandler) -> None:
    handler.server.released.wait(20)
    handler.close_connection = True


def hang_up(handler: StubHandler) -> None:
    handler.close_connection = True


def nonsense(handler: StubHandler) -> None:
    handler.send(200, b"<html>It works!</html>", Content_Type="text/html")


def half_json(handler: StubHandler) -> None:
    handler.send(200, b'{"choices": [')


def empty_object(handler: StubHandler) -> None:
    handler.send(200, {})


def out_of_credit(handler: StubHandler) -> None:
    handler.send(
        429, {"error": {"message": "no credit left", "type": "insufficient_quota", "code": "insufficient_quota"}}
    )


@pytest.fixture
def stub() -> Iterator[Stub]:
    server = Stub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


def build(ref: ModelRef) -> Provider:
    provider = PROVIDERS.get(ref.provider)(ref)
    assert isinstance(provider, Provider)
    return provider


def hosted_ref(kind: str, stub: Stub) -> ModelRef:
    url = f"http://127.0.0.1:{stub.server_port}" + ("/v1" if kind == "openai" else "")
    spec = ModelSpec(model=f"{kind}/some-model", base_url=url, api_key_env="CONTRACT_TEST_KEY")
    return parse_model("mine", {"mine": spec})


@pytest.fixture(params=["openai", "anthropic"])
def hosted(request: pytest.FixtureRequest, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("CONTRACT_TEST_KEY", KEY)
    provider = build(hosted_ref(request.param, stub))
    yield provider
    provider.close()


SIMULATED = ["sim/echo", "sim/arithmetic", "sim/script"]
HOSTED = ["openai", "anthropic"]
BUDGETED = ["openai, within a budget", "sim/arithmetic, within a budget"]
LOCAL = [pytest.param("local/smollm2", marks=pytest.mark.model)]


@pytest.fixture(params=[*SIMULATED, *HOSTED, *BUDGETED, *LOCAL])
def provider(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    name, _, budget = request.param.partition(", ")
    if name in HOSTED:
        monkeypatch.setenv("CONTRACT_TEST_KEY", KEY)
        ref = hosted_ref(name, request.getfixturevalue("stub"))
    elif name == "sim/script":
        (tmp_path / "answers.json").write_text('["one answer", "another answer"]')
        ref = parse_model(f"sim/script:{tmp_path / 'answers.json'}", {})
    else:
        if name.startswith("local/"):
            weights.pull("smollm2", get_settings().cache_dir)
        ref = parse_model(name, {})
    built = build(ref)
    if budget:
        bounds = BudgetSpec(llm_calls=1000, tokens=10**6)
        built = BudgetedProvider(built, Budget(ExperimentFileManager(tmp_path), bounds), ref)
    yield built
    built.close()


def chat(text: str = "What is 3 + 4?", **fields: Any) -> ChatRequest:
    return ChatRequest(messages=(Message(role="user", content=text),), **{"max_tokens": 8, "timeout": 60.0, **fields})


def test_it_gets_ready_more_than_once(provider: Provider) -> None:
    provider.prepare()
    provider.prepare()


def test_it_answers_and_counts(provider: Provider) -> None:
    completion = provider.complete(chat())
    assert completion.text and completion.input_tokens > 0 and completion.output_tokens > 0
    assert completion.finish_reason in ("stop", "length")


def test_the_same_request_has_the_same_answer(provider: Provider) -> None:
    assert provider.complete(chat(seed=3, call=1)) == provider.complete(chat(seed=3, call=1))


def test_it_takes_a_system_message_a_conversation_and_a_temperature(provider: Provider) -> None:
    messages = (
        Message(role="system", content="Answer briefly."),
        Message(role="user", content="What is 1 + 1?"),
        Message(role="assistant", content="2"),
        Message(role="user", content="And 2 + 2?"),
    )
    assert provider.complete(ChatRequest(messages=messages, temperature=0.7, max_tokens=8, timeout=60)).text


def test_several_calls_at_once(provider: Provider) -> None:
    alone = [provider.complete(chat(f"What is {n} + 1?")) for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda n: provider.complete(chat(f"What is {n} + 1?")), range(4))) == alone


def test_a_probe_passes(provider: Provider) -> None:
    provider.probe(chat("Answer with OK."))


def test_it_closes_twice(provider: Provider) -> None:
    provider.complete(chat())
    provider.close()
    provider.close()


@pytest.mark.model
def test_a_text_too_long_for_a_local_model_is_the_programs_fault() -> None:
    weights.pull("smollm2", get_settings().cache_dir)
    provider = build(parse_model("local/smollm2", {}))
    try:
        with pytest.raises(ProviderError, match="context") as raised:
            provider.complete(chat("word " * 6000))
        assert raised.value.status == 400 and not isinstance(raised.value, TransientProviderError)
    finally:
        provider.close()


@pytest.mark.model
def test_a_local_model_with_a_temperature_follows_the_call() -> None:
    weights.pull("smollm2", get_settings().cache_dir)
    provider = build(parse_model("local/smollm2", {}))
    try:
        texts = [provider.complete(chat("Tell me a story.", temperature=1.5, call=call)).text for call in range(4)]
        assert len(set(texts)) > 1
        assert provider.complete(chat("Tell me a story.", temperature=1.5, call=0)).text == texts[0]
    finally:
        provider.close()


def test_a_hosted_answer(hosted: Provider, stub: Stub) -> None:
    completion = hosted.complete(chat("Hello"))
    assert completion == Completion(text="You said: Hello", input_tokens=12, output_tokens=7)
    (seen,) = stub.seen
    assert seen["body"]["model"] == "some-model" and seen["body"]["max_tokens"] == 8
    assert KEY in json.dumps(seen["headers"])


@pytest.mark.parametrize(
    ("mood", "kind", "status"),
    [
        (fail(400), ProviderError, 400),
        (fail(401), ProviderError, 401),
        (fail(403), ProviderError, 403),
        (fail(404), ProviderError, 404),
        (fail(422), ProviderError, 422),
        (fail(429, retry_after="7"), TransientProviderError, 429),
        (fail(500), TransientProviderError, 500),
        (fail(503), TransientProviderError, 503),
        (fail(529), TransientProviderError, 529),
        (out_of_credit, ProviderError, 429),
        (hang_up, TransientProviderError, 503),
        (nonsense, TransientProviderError, 502),
        (half_json, TransientProviderError, 503),
        (empty_object, TransientProviderError, 502),
    ],
)
def test_a_hosted_failure(hosted: Provider, stub: Stub, mood: Mood, kind: type[ProviderError], status: int) -> None:
    stub.moods = [mood]
    with pytest.raises(ProviderError) as raised:
        hosted.complete(chat())
    assert (type(raised.value), raised.value.status) == (kind, status)
    assert KEY not in str(raised.value) and raised.value.__cause__ is None
    assert len(stub.seen) == 1, "the SDK must not try again by itself"


def test_a_temperature_and_a_system_message_reach_the_server(hosted: Provider, stub: Stub) -> None:
    messages = (Message(role="system", content="Be brief."), Message(role="user", content="Hello"))
    hosted.complete(ChatRequest(messages=messages, temperature=0.5))
    hosted.complete(ChatRequest(messages=messages))
    with_temperature, without = (seen["body"] for seen in stub.seen)
    assert with_temperature["temperature"] == 0.5 and "temperature" not in without
    assert "Be brief." in json.dumps(with_temperature)


def test_the_servers_wish_to_wait_is_passed_on(hosted: Provider, stub: Stub) -> None:
    for headers, seconds in [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after_ms": "250"}, 0.25),
        ({"retry_after": "x"}, None),
    ]:
        stub.moods = [fail(429, **headers)]
        with pytest.raises(TransientProviderError) as raised:
            hosted.complete(chat())
        assert raised.value.retry_after == seconds


def test_a_server_that_hangs(hosted: Provider, stub: Stub) -> None:
    stub.moods = [hang]
    with pytest.raises(ProviderTimeout):
        hosted.complete(chat(timeout=0.3))


def test_a_server_that_is_not_there(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRACT_TEST_KEY", KEY)
    ref = hosted_ref("openai", stub)
    stub.server_close()
    with pytest.raises(TransientProviderError, match="cannot be reached"):
        build(ref).complete(chat())


@pytest.mark.parametrize(("kind", "variable"), [("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY")])
def test_a_missing_key_names_its_variable(kind: str, variable: str) -> None:
    with pytest.raises(ModelConfigError, match=f"set {variable} in"):
        build(parse_model(f"{kind}/m", {}))


@pytest.mark.parametrize("kind", HOSTED)
def test_the_accounts_key_is_not_sent_to_an_address_of_the_spec(
    kind: str, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    ref = hosted_ref(kind, stub).model_copy(update={"api_key_env": None})
    build(ref).complete(chat())
    assert KEY not in json.dumps(stub.seen)


def test_a_key_shows_nowhere(hosted: Provider, stub: Stub, caplog: pytest.LogCaptureFixture) -> None:
    stub.moods = [fail(401)]
    lines: list[str] = []
    config = GatewayConfig(model=parse_model("sim/echo", {}), timeout=20, backoff=0.01)
    with open_gateway(config, provider=hosted, on_call=lambda call: lines.append(repr(call))) as gateway:
        answer = ask(gateway.directory)
    assert gateway.provider_failed and len(gateway.calls) == 1
    everything = [repr(hosted), repr(vars(hosted)), answer, gateway.provider_failed, repr(gateway.calls), *lines]
    assert KEY not in "".join(everything) + caplog.text
    assert "it went wrong" not in answer


def test_the_gateway_waits_as_the_server_says_and_tries_again(hosted: Provider, stub: Stub) -> None:
    stub.moods = [fail(429, retry_after="0.2"), fail(500), succeed]
    config = GatewayConfig(model=parse_model("sim/echo", {}), timeout=60, backoff=0.01)
    with open_gateway(config, provider=hosted) as gateway:
        started = time.monotonic()
        assert "You said: hi" in ask(gateway.directory)
    assert time.monotonic() - started >= 0.2
    assert gateway.provider_failed is None
    assert (len(stub.seen), len(gateway.calls)) == (3, 1)


def test_a_request_the_server_refuses_is_the_programs_fault(hosted: Provider, stub: Stub) -> None:
    def too_long(handler: StubHandler) -> None:
        mood = fail(400) if handler.server.seen[-1]["body"]["messages"][-1]["content"] == "hi" else succeed
        mood(handler)

    stub.moods = [too_long]
    config = GatewayConfig(model=parse_model("sim/echo", {}), timeout=60)
    with open_gateway(config, provider=hosted) as gateway:
        assert "it went wrong" in ask(gateway.directory)
    assert gateway.provider_failed is None


def test_a_server_that_hangs_through_the_run_is_out_of_order(hosted: Provider, stub: Stub) -> None:
    stub.moods = [hang]
    config = GatewayConfig(model=parse_model("sim/echo", {}), timeout=2.0)
    with open_gateway(config, provider=hosted) as gateway:
        assert "503" in ask(gateway.directory)
    assert gateway.provider_failed


def ask(directory: Path) -> str:
    """Ask through the gateway's socket; the whole reply."""
    body = b'{"messages": [{"role": "user", "content": "hi"}]}'
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(60)
        client.connect(str(directory / "gateway.sock"))
        client.sendall(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        reply = b""
        while chunk := client.recv(65536):
            reply += chunk
    return reply.decode()
