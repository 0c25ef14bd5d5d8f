"""The simulated models."""

import json
from collections import Counter
from pathlib import Path

import pytest

from shared.errors import ModelConfigError
from shared.model_names import parse_model
from worker.gateway.base import ChatRequest, Message, ProviderError
from worker.gateway.sim import NO_ARITHMETIC, build, count_tokens


def request(text: str, call: int = 0, seed: int = 0, max_tokens: int | None = None) -> ChatRequest:
    return ChatRequest(messages=(Message(role="user", content=text),), call=call, seed=seed, max_tokens=max_tokens)


def answer(name: str, text: str, **options: int) -> str:
    return build(parse_model(name, {})).complete(request(text, **options)).text


def test_echo() -> None:
    completion = build(parse_model("sim/echo", {})).complete(request("Hello, big world"))
    assert (completion.text, completion.input_tokens, completion.output_tokens) == ("Hello, big world", 4, 4)
    assert completion.finish_reason == "stop"


def test_an_answer_is_cut_at_the_limit() -> None:
    completion = build(parse_model("sim/echo", {})).complete(request("Hello, big world", max_tokens=3))
    assert (completion.text, completion.output_tokens, completion.finish_reason) == ("Hello, big", 3, "length")


def test_tokens_are_words_and_marks() -> None:
    assert [count_tokens(text) for text in ("", "  \n", "a b", "a,b.", "1+1")] == [0, 0, 2, 4, 3]


def test_arithmetic_is_wrong_at_its_rate() -> None:
    for rate in (0.0, 0.3, 1.0):
        wrong = sum(answer(f"sim/arithmetic:{rate}", f"What is {n} + 1?") != str(n + 1) for n in range(500))
        assert abs(wrong / 500 - rate) < 0.06


def test_arithmetic_follows_from_prompt_seed_and_call() -> None:
    def series(**options: int) -> list[str]:
        return [answer("sim/arithmetic:0.5", f"{n} * 3", **options) for n in range(60)]

    assert series() == series()
    assert series() != series(seed=1)
    assert series() != series(call=1)


def test_a_vote_beats_a_single_call() -> None:
    single = voted = 0
    for n in range(200):
        votes = [answer("sim/arithmetic:0.3", f"What is {n} + 17?", call=call) for call in range(7)]
        single += votes[0] == str(n + 17)
        voted += Counter(votes).most_common(1)[0][0] == str(n + 17)
    assert voted > single + 20


def test_no_arithmetic() -> None:
    assert answer("sim/arithmetic", "Hello") == NO_ARITHMETIC


def test_the_mock_answers_everything_with_something_every_reader_can_use() -> None:
    answers = {answer("sim/mock", text, call=call) for text in ("", "2 + 2", "Write a poem.") for call in range(3)}
    assert answers == {"42"}
    assert (int("42"), json.loads("42")) == (42, 42)


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "answers.yaml"
    path.write_text(text)
    return f"sim/script:{path}"


def test_a_script_of_texts_goes_round(tmp_path: Path) -> None:
    name = script(tmp_path, "- one\n- two\n")
    assert [answer(name, "x", call=call) for call in range(3)] == ["one", "two", "one"]


def test_a_script_of_rules(tmp_path: Path) -> None:
    name = script(tmp_path, '[{"match": "(?i)capital", "answer": "Paris"}, {"match": "\\\\d", "answer": ["1", "2"]}]')
    assert answer(name, "The Capital of France?", call=3) == "Paris"
    assert [answer(name, "7", call=call) for call in range(3)] == ["1", "2", "1"]
    with pytest.raises(ProviderError, match="no answer"):
        answer(name, "nothing fits")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "a: 1",
        "- 1",
        "- {match: '('}",
        "- {match: '(', answer: x}",
        "- {match: x, answer: []}",
        "- x\n- {",
        "\x00",
    ],
)
def test_bad_scripts(tmp_path: Path, text: str) -> None:
    with pytest.raises(ModelConfigError, match=r"answers\.yaml"):
        answer(script(tmp_path, text), "x")


def test_a_missing_script(tmp_path: Path) -> None:
    with pytest.raises(ModelConfigError, match="cannot be read: No such file"):
        answer(f"sim/script:{tmp_path / 'none.yaml'}", "x")
