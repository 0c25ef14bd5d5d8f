"""The wire format: what is taken, what is refused, what is answered."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.gateway.base import Completion
from worker.gateway.wire import WireError, completion_json, parse_request

USER = {"role": "user", "content": "hi"}


def parse(**fields: Any) -> Any:
    return parse_request(json.dumps({"messages": [USER], **fields}).encode())


def test_a_plain_request() -> None:
    request = parse(model="m", temperature=1, max_tokens=5, user="me", stream=False, n=1, top_p=1.0, stop=None)
    assert (request.model, request.temperature, request.max_tokens) == ("m", 1.0, 5)
    assert [message.model_dump() for message in request.messages] == [USER]


def test_what_may_be_left_out() -> None:
    request = parse()
    assert (request.model, request.temperature, request.max_tokens) == ("", None, None)
    assert parse(model=None).model == ""
    assert parse(max_completion_tokens=7, max_tokens=3).max_tokens == 7


def test_roles_and_parts() -> None:
    messages = [
        {"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "x", "name": "ignored"},
    ]
    assert [(m.role, m.content) for m in parse(messages=messages).messages] == [
        ("system", "ab"),
        ("assistant", ""),
        ("user", "x"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{",
        b"{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"messages": [], "n": ' + b"9" * 10_000 + b"}",
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
    ],
)
def test_junk_bodies(body: bytes) -> None:
    with pytest.raises(WireError) as raised:
        parse_request(body)
    assert raised.value.status == 400


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": None},
        {"messages": []},
        {"messages": "hi"},
        {"messages": ["hi"]},
        {"messages": [USER] * 1001},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": ["user"], "content": "x"}]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": 3}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
        {"messages": [{"role": "user", "content": [3]}]},
        {"model": 3},
        {"temperature": "1"},
        {"temperature": True},
        {"temperature": -0.1},
        {"temperature": 2.1},
        {"temperature": float("nan")},
        {"max_tokens": 0},
        {"max_tokens": 1.5},
        {"max_tokens": True},
        {"max_tokens": 10**7},
        {"stream": True},
        {"n": 2},
        {"stop": ["x"]},
        {"tools": []},
        {"top_p": 0.5},
        {"x" * 100_000: 1},
    ],
)
def test_refused_fields(fields: dict[str, Any]) -> None:
    with pytest.raises(WireError) as raised:
        parse(**fields)
    assert raised.value.status == 400
    assert len(str(raised.value)) < 200


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner)), st.text())
def test_any_value_anywhere_is_taken_or_refused(value: Any, name: str) -> None:
    for fields in ({name: value}, {"messages": value}, {"messages": [{"role": "user", "content": value}]}):
        try:
            parse(**fields)
        except WireError as error:
            assert error.status == 400


def test_an_answer_has_the_shape_clients_expect() -> None:
    answer = completion_json(Completion(text="hi", input_tokens=3, output_tokens=2), "m", 4, 1000)
    assert answer["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    ]
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert (answer["object"], answer["model"], answer["created"]) == ("chat.completion", "m", 1000)
