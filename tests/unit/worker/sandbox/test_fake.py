"""The fake says what it was told to say."""

from pathlib import Path

import pytest

from shared.errors import InfraError
from shared.models import Labels, Limits, RunOutcome, RunRequest, ScaffoldMount, Status
from worker.sandbox.base import SandboxSession
from worker.sandbox.fake import FakeSandbox


def session(sandbox: FakeSandbox) -> SandboxSession:
    return sandbox.open(ScaffoldMount(scaffold_id="0", directory=Path("/nowhere")), Limits(), Labels())


def test_it_echoes_unless_told_otherwise() -> None:
    sandbox = FakeSandbox()
    outcome = session(sandbox).run(RunRequest(input_string="hello"))
    assert (outcome.status, outcome.output) == (Status.OK, "hello")
    assert [request.input_string for request in sandbox.requests] == ["hello"]


def test_queued_answers_come_first_and_in_order() -> None:
    sandbox = FakeSandbox([RunOutcome(status=Status.TIMEOUT), RunOutcome(status=Status.OOM)])
    statuses = [session(sandbox).run(RunRequest(input_string="x")).status for _ in range(3)]
    assert statuses == [Status.TIMEOUT, Status.OOM, Status.OK]


def test_an_answer_may_depend_on_the_request() -> None:
    sandbox = FakeSandbox(answer=lambda request: RunOutcome(status=Status.OK, output=request.input_string.upper()))
    assert session(sandbox).run(RunRequest(input_string="x")).output == "X"


def test_an_exception_is_raised() -> None:
    with pytest.raises(InfraError, match="broken"):
        session(FakeSandbox([InfraError("broken")])).run(RunRequest(input_string="x"))


def test_printed_text_is_handed_on() -> None:
    heard: list[str] = []
    session(FakeSandbox([RunOutcome(status=Status.OK, stderr="said")])).run(RunRequest(input_string="x"), heard.append)
    assert heard == ["said"]
