"""The runner's parts that need no process of their own; the contract suite runs it whole."""

import pytest

from shared.models import Limits, RunRequest, Status
from shared.runtime.runner import ERROR_LIMIT, describe, shorten
from worker.sandbox.protocol import KINDS, READY, Frame, Malformed, encode_request, parse_answer


def test_a_request_is_a_line_and_the_bytes() -> None:
    assert (
        encode_request(RunRequest(input_string="né\n"), Limits(timeout=2.5, output_limit=2048))
        == "2.5 2048 4\nné\n".encode()
    )


def test_what_no_encoding_has_goes_through() -> None:
    assert encode_request(RunRequest(input_string="\ud800"), Limits()).endswith(b" 3\n\xed\xa0\x80")


def test_an_answer_is_parsed() -> None:
    assert parse_answer(READY + b"ok 2\nhi") == Frame(kind=Status.OK, text="hi")
    assert parse_answer(READY) is None
    assert isinstance(parse_answer(READY + b"ok 3\nhi"), Malformed)


def test_no_program_can_say_that_the_machinery_failed() -> None:
    assert not {Status.INFRA_ERROR, Status.SCORER_ERROR, Status.BUDGET_EXCEEDED} & set(KINDS.values())


def test_a_long_error_keeps_its_ends() -> None:
    text = shorten("begin" + "€" * ERROR_LIMIT + "end")
    assert text.startswith("begin") and text.endswith("end")
    assert len(text.encode()) <= ERROR_LIMIT


def test_an_error_that_can_not_be_shown_is_still_described() -> None:
    class Nasty(Exception):
        def __str__(self) -> str:
            raise ValueError("no")

    try:
        raise Nasty
    except Nasty as error:
        assert "Nasty" in describe(error)


@pytest.mark.parametrize("answer", [b"ok", b"ok 2", b" 2\nhi", b"ok  2\nhi", b"OK 2\nhi", b"ok 2 \nhi", b"\n"])
def test_nearly_an_answer_is_none(answer: bytes) -> None:
    assert isinstance(parse_answer(READY + answer), Malformed)
