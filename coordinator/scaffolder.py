"""The model that writes scaffolds, as proposers see it. Behind it is a process of the worker's, which has the keys."""

import itertools
import json
import subprocess
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from coordinator.worker_tools import worker_command
from shared import errors
from shared.errors import ModelUnavailable, ScaffoldryError
from shared.model_names import parse_model
from shared.models.ask import Answer, AnswerLine, AskLine, AskRequest
from shared.models.spec import ModelSpec
from shared.settings import child_environment

_CLOSED = "The model was let go of before it had answered."
_END_SECONDS = 5.0


class ModelClient(ABC):
    """One model that can be asked. Thread-safe."""

    at_once: int = 4
    """Questions that it makes sense to ask at the same time."""

    @abstractmethod
    def ask(self, request: AskRequest) -> Answer:
        """The model's answer, or its refusal.

        Raises ModelUnavailable where it cannot be reached or the client was closed, ModelConfigError (a missing key),
        OutOfBudget.
        """

    def close(self) -> None:
        """Let go of the model; questions under way end with ModelUnavailable. May be called twice."""
        return None


class WorkerClient(ModelClient):
    """Asks through ``python -m worker ask``, started at the first question and again should it have died."""

    def __init__(self, model: str, models: Mapping[str, ModelSpec], experiment: str | None = None) -> None:
        """``models`` is the spec's; ``experiment`` its directory, with the answers of ``sim/script`` and its budget.

        Raises UnknownName and ModelConfigError.
        """
        ref = parse_model(model, models)
        self._model = model
        self._arguments = ["ask", "--model", model, "--aliases", _aliases(models)]
        if experiment is not None:
            self._arguments += ["--experiment", str(Path(experiment).absolute())]
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._closed = False
        if ref.provider == "sim":
            self.at_once = 1  # a script answers in turn, and nobody waits for any of them

    def ask(self, request: AskRequest) -> Answer:
        answered = self._running().send(request)
        line = answered.result()
        if line.answer is not None:
            return line.answer
        raise _error(line)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._child is not None:
                self._child.end()

    def _running(self) -> "_Child":
        with self._lock:
            if self._closed:
                raise ModelUnavailable(_CLOSED)
            if self._child is None or self._child.is_over:
                if self._child is not None:
                    self._child.end()
                self._child = _Child(self._model, self._arguments)
            return self._child


class _Child:
    """The process, and the questions it has not answered yet."""

    def __init__(self, model: str, arguments: list[str]) -> None:
        self._model = model
        self._talk = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the process
        self._process = subprocess.Popen(
            worker_command(*arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._talk,
            env=child_environment(),
            start_new_session=True,  # a Ctrl-C on the terminal is the coordinator's to act on
        )
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._waiting: dict[int, Future[AnswerLine]] = {}
        self.is_over = False
        self._ending = False
        self._reader = threading.Thread(target=self._read, name="scaffolder", daemon=True)
        self._reader.start()

    def send(self, request: AskRequest) -> "Future[AnswerLine]":
        """Put a question; what it will be answered with."""
        answered: Future[AnswerLine] = Future()
        with self._lock:
            number = next(self._numbers)
            line = json.dumps(AskLine(id=number, request=request).model_dump(), ensure_ascii=False) + "\n"
            self._waiting[number] = answered
            try:
                assert self._process.stdin is not None
                self._process.stdin.write(line.encode("utf-8", "replace"))  # what is no Unicode is no JSON either
                self._process.stdin.flush()
            except (OSError, ValueError):
                if self._waiting.pop(number, None) is not None:
                    answered.set_exception(self._gone())
        return answered

    def end(self) -> None:
        """End the process and forget what was asked."""
        self._ending = True
        try:
            assert self._process.stdin is not None
            self._process.stdin.close()
        except OSError:
            pass  # it was gone before us
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._talk.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            for data in self._process.stdout:
                line = AnswerLine.model_validate_json(data)
                with self._lock:
                    answered = self._waiting.pop(line.id)
                answered.set_result(line)
        except (ValidationError, KeyError):
            self._process.kill()  # what speaks there is not ours, and would be waited for in vain
        self._process.wait()
        with self._lock:
            self.is_over = True
            unanswered = list(self._waiting.values())
            self._waiting.clear()
        for answered in unanswered:
            answered.set_exception(self._gone())

    def _gone(self) -> ModelUnavailable:
        if self._ending:
            return ModelUnavailable(_CLOSED)
        self._talk.seek(0)
        lines = self._talk.read().decode("utf-8", errors="replace").strip().splitlines()
        said = " ".join(lines[-3:])
        code = self._process.poll()
        return ModelUnavailable(f"The process that asks {self._model} ended (exit code {code}). {said}".strip())


def _aliases(models: Mapping[str, ModelSpec]) -> str:
    return json.dumps({alias: spec.model_dump(mode="json") for alias, spec in models.items()})


def _error(line: AnswerLine) -> Exception:
    """The error that the process ran into, as one of this side's."""
    kind: Any = getattr(errors, line.kind, ScaffoldryError)
    known = kind if isinstance(kind, type) and issubclass(kind, ScaffoldryError) else ScaffoldryError
    return known(line.error or "")
