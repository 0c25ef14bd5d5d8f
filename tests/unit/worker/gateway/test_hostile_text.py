"""Texts that are made to keep a simulated model busy."""

import time

import pytest

from worker.gateway.arithmetic import solve


@pytest.mark.parametrize("text", ["(" * 150_000, "- " * 100_000, "1 " * 100_000, "1+" * 100_000, ")x" * 50_000])
def test_a_long_text_is_no_way_to_hang_the_worker(text: str) -> None:
    before = time.process_time()
    solve(text)
    assert time.process_time() - before < 1  # a quadratic search takes minutes


def test_the_end_of_a_long_text_is_what_counts() -> None:
    assert solve("word " * 10_000 + "What is 17 + 25?") == 42
