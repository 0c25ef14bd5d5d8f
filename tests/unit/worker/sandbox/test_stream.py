"""Taking streams apart, and keeping them within bounds."""

from hypothesis import given
from hypothesis import strategies as st

from shared.models import Limits
from worker.sandbox.protocol import READY, answer_cap
from worker.sandbox.stream import ANSWER, TEXT, Capture, Demultiplexer

LIMITS = Limits(output_limit=1024)


def part(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


@given(
    parts=st.lists(st.tuples(st.sampled_from([ANSWER, TEXT]), st.binary(max_size=50)), max_size=8),
    cuts=st.lists(st.integers(1, 40), min_size=1),
)
def test_pieces_come_together_however_they_are_cut(parts: list[tuple[int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(part(*each) for each in parts)
    demultiplexer, found, cut = Demultiplexer(), {ANSWER: b"", TEXT: b""}, 0
    while stream:
        size = cuts[cut % len(cuts)]
        for number, data in demultiplexer.feed(stream[:size]):
            found[number] += data
        stream, cut = stream[size:], cut + 1
    assert found == {n: b"".join(data for number, data in parts if number == n) for n in (ANSWER, TEXT)}


def test_an_announced_length_takes_no_memory() -> None:
    demultiplexer = Demultiplexer()
    assert demultiplexer.feed(bytes([1, 0, 0, 0, 255, 255, 255, 255]) + b"abc") == [(1, b"abc")]
    assert demultiplexer.feed(b"def") == [(1, b"def")]


def test_text_is_handed_on_as_it_comes_and_never_cut_within_a_character() -> None:
    heard: list[str] = []
    capture = Capture(LIMITS, heard.append)
    for byte in "é€😀".encode():
        capture.feed(TEXT, bytes([byte]))
    assert heard == ["é", "€", "😀"]


def test_text_beyond_the_limit_is_dropped() -> None:
    heard: list[str] = []
    capture = Capture(LIMITS, heard.append)
    capture.feed(TEXT, b"x" * 1000)
    assert not capture.flooded
    capture.feed(TEXT, b"y" * 1000)
    capture.feed(TEXT, b"z" * 1000)
    capture.finish()
    assert capture.text_flooded and not capture.answer_flooded
    assert capture.text == "".join(heard) == "x" * 1000 + "y" * 24


def test_a_character_that_never_came_whole_is_shown_as_such() -> None:
    capture = Capture(LIMITS)
    capture.feed(TEXT, "é".encode()[:1])
    capture.finish()
    assert capture.text == "\N{REPLACEMENT CHARACTER}"


def test_an_answer_beyond_its_cap_is_dropped() -> None:
    capture = Capture(LIMITS)
    cap = answer_cap(LIMITS)
    capture.feed(ANSWER, READY)
    capture.feed(ANSWER, b"x" * (cap - len(READY)))
    assert not capture.flooded
    capture.feed(ANSWER, b"x")
    assert capture.answer_flooded
    assert len(capture.answer) == cap


def test_the_clock_starts_when_the_runner_is_ready() -> None:
    capture = Capture(LIMITS)
    capture.feed(TEXT, b"warning")
    capture.feed(ANSWER, READY[:3])
    assert capture.began is None
    capture.feed(ANSWER, READY[3:])
    assert capture.began is not None
    capture.finish()
    assert capture.seconds >= 0


def test_a_stream_of_another_number_is_nobodys() -> None:
    capture = Capture(LIMITS)
    capture.feed(0, b"x")
    capture.feed(7, b"x")
    assert capture.answer == b"" and capture.text == ""
