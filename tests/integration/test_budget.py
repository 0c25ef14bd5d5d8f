"""Several workers, each with gateways of their own, on one budget: no call too many reaches the provider."""

import json
import multiprocessing
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path

from shared.budget import Budget
from shared.file_manager import ExperimentFileManager
from shared.model_names import parse_model
from shared.models.spec import BudgetSpec
from worker.gateway.base import ChatRequest, Completion, Provider, TransientProviderError
from worker.gateway.server import Gateway, GatewayConfig, open_gateway

BUDGET = BudgetSpec(llm_calls=100)
PROCESSES = multiprocessing.get_context("spawn")


class Counting(Provider):
    """Notes each call that reaches it, and is too busy for every third."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._calls = 0

    def complete(self, request: ChatRequest) -> Completion:
        with self._file.open("ab") as file:
            file.write(b"x")
        with self._lock:
            self._calls += 1
            if self._calls % 3 == 0:
                raise TransientProviderError("busy", 429, retry_after=0.0)
        return Completion(text="yes", input_tokens=3, output_tokens=1)


def ask(gateway: Gateway) -> tuple[int, str]:
    """Status and error code of one call over the socket."""
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(60)
        client.connect(str(gateway.directory / "gateway.sock"))
        client.sendall(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        reply = b""
        while chunk := client.recv(65536):
            reply += chunk
    head, _, answer = reply.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(answer).get("error", {}).get("code", "")


def spend(directory: Path, calls: Path, start: Barrier) -> None:
    """A worker with two runs after one another, each of which asks from four threads."""
    budget = Budget(ExperimentFileManager(directory), BUDGET)
    config = GatewayConfig(model=parse_model("sim/echo", {}), timeout=100, backoff=0.001)
    start.wait(60)
    for _ in range(2):
        with open_gateway(config, provider=Counting(calls), budget=budget) as gateway:
            with ThreadPoolExecutor(4) as threads:
                replies = list(threads.map(ask, [gateway] * 48))
            assert set(replies) <= {(200, ""), (429, "budget_exceeded")}
            refused = (429, "budget_exceeded") in replies
            assert bool(gateway.experiment_budget_exceeded) == refused
            assert not gateway.provider_failed and not gateway.budget_exceeded
    assert refused, "96 questions, a third of them asked twice, are more than there are calls"


def test_four_workers_make_no_call_too_many(tmp_path: Path) -> None:
    (tmp_path / "exp").mkdir()
    start = PROCESSES.Barrier(4)
    workers = [PROCESSES.Process(target=spend, args=(tmp_path / "exp", tmp_path / "calls", start)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(110)
        assert worker.exitcode == 0
    assert (tmp_path / "calls").stat().st_size == 100
    assert Budget(ExperimentFileManager(tmp_path / "exp"), BUDGET).spent().calls == 100


def test_a_refused_call_tells_the_program_the_reason_and_no_more(tmp_path: Path) -> None:
    budget = Budget(ExperimentFileManager(tmp_path), BudgetSpec(llm_calls=1))
    config = GatewayConfig(model=parse_model("sim/echo", {}))
    with open_gateway(config, budget=budget) as gateway:
        assert [ask(gateway) for _ in range(3)] == [(200, ""), (429, "budget_exceeded"), (429, "budget_exceeded")]
        assert gateway.experiment_budget_exceeded == "The budget of 1 model call (budget.llm_calls) is used up."
        assert [call.status for call in gateway.calls] == [200, 429, 429]


def test_where_only_hours_are_bounded_no_call_is_counted(tmp_path: Path) -> None:
    budget = Budget(ExperimentFileManager(tmp_path), BudgetSpec(hours=1))
    with open_gateway(GatewayConfig(model=parse_model("sim/echo", {})), budget=budget) as gateway:
        assert ask(gateway) == (200, "")
    assert list(tmp_path.iterdir()) == []
