"""``python -m worker ask``: one model, asked on the coordinator's behalf, so that keys and SDKs stay on this side.

Questions come as lines of JSON on stdin, answers leave on stdout as they are ready; the end of stdin is the end of
the process, whatever is under way. So it never outlives the coordinator, whichever way that ends.
"""

import os
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from shared.budget import Budget
from shared.error_words import describe
from shared.errors import ModelUnavailable, OutOfBudget, ScaffoldryError
from shared.file_manager import ExperimentFileManager
from shared.model_names import ModelRef, parse_model
from shared.models.ask import Answer, AnswerLine, AskLine, AskRequest
from shared.models.result import Usage
from shared.models.spec import ModelSpec
from worker.gateway.base import ChatRequest, Message, Provider, ProviderError, ProviderOutage
from worker.gateway.budgeted import BudgetedProvider, ExperimentBudgetExceeded
from worker.gateway.caller import AT_ONCE, Caller
from worker.gateway.ledger import Ledger
from worker.gateway.providers import build_provider

TIMEOUT = 900.0
"""Seconds for one question, waits and retries included."""

Guard = Callable[[Provider, ModelRef], Provider]
"""Puts something between us and the provider: the experiment's budget."""


class Asker:
    """Asks one model. Thread-safe; the provider is made at the first question, so that a missing key is its answer."""

    def __init__(self, ref: ModelRef, guard: Guard | None = None, timeout: float = TIMEOUT) -> None:
        self._ref = ref
        self._guard = guard
        self._timeout = timeout
        self._lock = threading.Lock()
        self._provider: Provider | None = None

    def ask(self, request: AskRequest) -> Answer:
        """The model's answer or its refusal.

        Raises ModelUnavailable where the model is out of order or out of reach, OutOfBudget, ModelConfigError.
        """
        provider = self._ready()
        ledger = Ledger(self._ref.alias, self._ref.price, None, None)
        # A caller of its own for each question: its patience ends with that question.
        caller = Caller(provider, temperature=request.temperature, max_tokens=request.max_tokens, timeout=self._timeout)
        chat = _chat_request(request)
        problem: str | None = None
        with ledger.call(chat.messages) as call:
            try:
                call.completion = caller.call(chat)
                call.status = 200
            except ExperimentBudgetExceeded as error:
                raise OutOfBudget(str(error)) from None
            except ProviderOutage as error:
                raise ModelUnavailable(f"The model {self._ref.alias} cannot be reached: {error}") from None
            except ProviderError as error:
                call.status, problem = error.status, f"The model {self._ref.alias} refused to answer: {error}"
        text = None if problem else call.completion.text.encode("utf-8", "replace").decode()
        return Answer(text=text, problem=problem, finish_reason=call.completion.finish_reason, usage=_rounded(ledger))

    def _ready(self) -> Provider:
        with self._lock:
            if self._provider is None:
                provider = build_provider(self._ref)
                provider.prepare()
                self._provider = self._guard(provider, self._ref) if self._guard else provider
            return self._provider


def _rounded(ledger: Ledger) -> Usage:
    usage = ledger.usage()
    return usage.model_copy(update={"wait_seconds": round(usage.wait_seconds, 3)})


def _chat_request(request: AskRequest) -> ChatRequest:
    system = (Message(role="system", content=request.system),) if request.system else ()
    return ChatRequest(
        messages=(*system, Message(role="user", content=request.prompt)),
        temperature=request.temperature,
        max_tokens=request.max_tokens,
        seed=request.seed,
        call=request.call,
    )


def serve(asker: Asker, questions: BinaryIO, answers: TextIO) -> None:
    """Answer lines until there are no more of them."""
    lock = threading.Lock()

    def answer(line: AskLine) -> None:
        text = _answer_line(asker, line).model_dump_json()
        with lock:
            answers.write(text + "\n")
            answers.flush()

    pool = ThreadPoolExecutor(AT_ONCE)
    for line in questions:
        pool.submit(answer, AskLine.model_validate_json(line))
    pool.shutdown(wait=False, cancel_futures=True)


def _answer_line(asker: Asker, line: AskLine) -> AnswerLine:
    try:
        return AnswerLine(id=line.id, answer=asker.ask(line.request))
    except ScaffoldryError as error:
        return AnswerLine(id=line.id, error=str(error), kind=type(error).__name__)
    except Exception as error:
        return AnswerLine(id=line.id, error=describe(error)[0], kind="ScaffoldryError")


def main(model: str, aliases: Mapping[str, Any], experiment: Path | None) -> None:
    """Serve stdin and stdout, then end at once: whoever closed stdin waits for nothing more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not get between the answers
    ref = model_ref(model, aliases, experiment)
    serve(Asker(ref, guard_of(experiment)), sys.stdin.buffer, answers)
    os._exit(0)


def model_ref(model: str, aliases: Mapping[str, Any], experiment: Path | None) -> ModelRef:
    """The model, with the script it answers from where the experiment keeps that."""
    ref = parse_model(model, {alias: ModelSpec.model_validate(spec) for alias, spec in aliases.items()})
    if experiment is None or ref.script is None:
        return ref
    text = ExperimentFileManager(experiment).load_model_script(ref.script)
    return ref.model_copy(update={"script_text": text})


def guard_of(experiment: Path | None) -> Guard | None:
    """What stands between the questions and the provider: the experiment's budget, where calls count against one."""
    if experiment is None:
        return None
    files = ExperimentFileManager.open(experiment)
    budget = Budget.of(files, files.load_metadata().spec.budget)
    if budget is None or not budget.counts_calls:
        return None
    return lambda provider, ref: BudgetedProvider(provider, budget, ref)
