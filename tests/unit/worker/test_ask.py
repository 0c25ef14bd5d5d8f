"""Asking a model on the coordinator's behalf."""

import io
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.errors import ModelUnavailable, OutOfBudget
from shared.file_manager import ExperimentFileManager
from shared.model_names import ModelRef, parse_model
from shared.models import ExperimentMetadata
from shared.models.ask import AskRequest
from shared.models.spec import ExperimentSpec, Price
from worker import ask
from worker.ask import Asker, guard_of, model_ref, serve
from worker.gateway.base import ChatRequest, Completion, Provider, ProviderError, TransientProviderError

REF = ModelRef(alias="mine", provider="openai", model="m", price=Price(input=1.0, output=2.0))


class StubProvider(Provider):
    """Answers with what a function makes of the request, or raises it."""

    def __init__(self, answer: Callable[[ChatRequest], Completion | Exception]) -> None:
        self.answer = answer
        self.seen: list[ChatRequest] = []

    def complete(self, request: ChatRequest) -> Completion:
        self.seen.append(request)
        answer = self.answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> StubProvider:
    stub = StubProvider(lambda request: Completion(text="Yes.", input_tokens=1_000_000, output_tokens=500_000))
    monkeypatch.setattr(ask, "build_provider", lambda ref: stub)
    return stub


def test_an_answer_and_what_it_cost(provider: StubProvider) -> None:
    request = AskRequest(prompt="Well?", system="Be short.", temperature=0.5, max_tokens=9, seed=3, call=4)
    answer = Asker(REF).ask(request)
    assert (answer.text, answer.problem) == ("Yes.", None)
    assert (answer.usage.calls, answer.usage.usd) == (1, 2.0)
    seen = provider.seen[0]
    assert [(message.role, message.content) for message in seen.messages] == [
        ("system", "Be short."),
        ("user", "Well?"),
    ]
    assert (seen.temperature, seen.max_tokens, seen.seed, seen.call) == (0.5, 9, 3, 4)


def test_a_refusal_is_an_answer(provider: StubProvider) -> None:
    refused = ProviderError("The prompt is too long.")
    provider.answer = lambda request: refused if "long" in request.messages[-1].content else Completion(text="OK")
    answer = Asker(REF).ask(AskRequest(prompt="a long text"))
    assert (answer.text, answer.problem) == (None, "The model mine refused to answer: The prompt is too long.")


def test_a_model_that_answers_nothing_at_all_is_unavailable(provider: StubProvider) -> None:
    provider.answer = lambda request: TransientProviderError("Down.", retry_after=0.0)
    with pytest.raises(ModelUnavailable, match=r"The model mine cannot be reached: Down\."):
        Asker(REF).ask(AskRequest(prompt="?"))
    assert len(provider.seen) > 2


def test_lone_surrogates_do_not_reach_the_line(provider: StubProvider) -> None:
    provider.answer = lambda request: Completion(text="x\ud800")
    answer = Asker(REF).ask(AskRequest(prompt="?"))
    assert answer.text == "x?"
    answer.model_dump_json()


def lines(*requests: dict[str, Any]) -> io.BytesIO:
    return io.BytesIO(b"".join(json.dumps(request).encode() + b"\n" for request in requests))


class Answers(io.StringIO):
    """Waits until so many lines are there."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._missing = threading.Semaphore(0)
        self._count = count

    def flush(self) -> None:
        self._missing.release()

    def wait(self) -> dict[int, dict[str, Any]]:
        for _ in range(self._count):
            assert self._missing.acquire(timeout=30)
        found = [json.loads(line) for line in self.getvalue().splitlines()]
        return {line["id"]: line for line in found}


class Slow(io.BytesIO):
    """Ends only when it may: the end of the questions drops those that wait."""

    def __init__(self, data: bytes, may_end: threading.Event) -> None:
        super().__init__(data)
        self._may_end = may_end

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            assert self._may_end.wait(30)
            raise StopIteration
        return line


def test_each_line_gets_its_answer_by_its_number(provider: StubProvider) -> None:
    first_may_go = threading.Event()

    def answer(request: ChatRequest) -> Completion | Exception:
        text = request.messages[-1].content
        if text == "crash":
            return ValueError("secret in here")
        if text == "first":
            assert first_may_go.wait(30)
        else:
            first_may_go.set()
        return Completion(text=text)

    provider.answer = answer
    prompts = ["first", "second", "third"]
    questions = lines(*({"id": n, "request": {"prompt": text}} for n, text in enumerate(prompts)))
    answers, may_end = Answers(3), threading.Event()
    serving = threading.Thread(target=serve, args=(Asker(REF), Slow(questions.getvalue(), may_end), answers))
    serving.start()
    found = answers.wait()
    may_end.set()
    serving.join(30)
    assert [found[n]["answer"]["text"] for n in range(3)] == prompts
    assert json.loads(answers.getvalue().splitlines()[-1])["id"] != -1


def test_our_errors_travel_by_name(provider: StubProvider) -> None:
    def guard(provider: Provider, ref: ModelRef) -> Provider:
        raise OutOfBudget("All is spent.")

    answers, may_end = Answers(1), threading.Event()
    questions = Slow(lines({"id": 7, "request": {"prompt": "?"}}).getvalue(), may_end)
    serving = threading.Thread(target=serve, args=(Asker(REF, guard), questions, answers))
    serving.start()
    found = answers.wait()
    may_end.set()
    serving.join(30)
    assert (found[7]["kind"], found[7]["error"], found[7]["answer"]) == ("OutOfBudget", "All is spent.", None)


def experiment(tmp_path: Path, **fields: Any) -> ExperimentFileManager:
    files = ExperimentFileManager.create(tmp_path, "e")
    spec = {"name": "e", "data": {"valid": {"path": "v"}}, "scorer": {"name": "exact"}, "scaffolds": ["s"], **fields}
    created = datetime(2026, 1, 1, tzinfo=UTC)
    files.save_metadata(
        ExperimentMetadata(experiment=files.name, created_at=created, spec=ExperimentSpec.model_validate(spec))
    )
    return files


def test_the_experiments_budget_is_counted_and_kept(tmp_path: Path, provider: StubProvider) -> None:
    files = experiment(tmp_path, budget={"llm_calls": 2})
    guard = guard_of(Path(str(files)))
    assert guard is not None
    asker = Asker(REF, guard)
    for _ in range(2):
        assert asker.ask(AskRequest(prompt="?")).text == "Yes."
    with pytest.raises(OutOfBudget, match="2 model calls"):
        asker.ask(AskRequest(prompt="?"))
    assert len(provider.seen) == 2


def test_without_a_budget_nothing_stands_between(tmp_path: Path) -> None:
    assert guard_of(None) is None
    assert guard_of(Path(str(experiment(tmp_path)))) is None


def test_a_script_is_the_experiments_own_copy(tmp_path: Path) -> None:
    files = experiment(tmp_path)
    files.save_model_script("a.yaml", "- kept")
    directory = Path(str(files))
    assert model_ref("sim/script:a.yaml", {}, directory).script_text == "- kept"
    assert model_ref("m", {"m": {"model": "sim/script:a.yaml"}}, directory).script_text == "- kept"
    assert model_ref("sim/script:b.yaml", {}, directory).script_text is None
    assert model_ref("sim/echo", {}, None) == parse_model("sim/echo", {})
