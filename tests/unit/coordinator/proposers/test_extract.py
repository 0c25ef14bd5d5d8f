"""From an answer to code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.proposers.extract import extract_code, fenced_blocks

CODE = "def process_input(input_string):\n    return input_string\n"


@pytest.mark.parametrize(
    "answer",
    [
        f"```python\n{CODE}```",
        f"Well,\n\n```\n{CODE}\n```\nThat is all.",
        f"~~~ py\n{CODE}~~~",
        f"````python\n{CODE}````\n",
        f"```python\r\n{CODE}```\r\n".replace("\n", "\r\n").replace("\r\r", "\r"),
        f"Inline `x` and ```y``` are no blocks.\n```python title=x\n{CODE}```",
        f"   ```python\n   {CODE.splitlines()[0]}\n       return input_string\n   ```",
    ],
)
def test_one_block(answer: str) -> None:
    found = extract_code(answer)
    assert (found.code, found.problem) == (CODE, None)


def test_a_longer_fence_may_hold_a_shorter_one() -> None:
    code = f'TEXT = """\n```\nx\n```\n"""\n{CODE}'
    assert extract_code(f"````python\n{code}````").code == code


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("", "There is no code block"),
        (CODE, "There is no code block"),
        (f"```python\n{CODE}```\nand\n```python\n{CODE}```", "There are 2 code blocks"),
        (f"```bash\npip install x\n```\n```python\n{CODE}```\n```\n", "There are 3 code blocks"),
        (f"```python\n{CODE}", "is not closed"),
    ],
)
def test_no_code(answer: str, words: str) -> None:
    found = extract_code(answer)
    assert found.code is None
    assert words in (found.problem or "")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = 1\ndef process_input(:\n", "Line 2"),
        ("", "no process_input"),
        ("def other(x):\n    return x\n", "no process_input"),
        ("x = '\0'\n", "null byte"),
    ],
)
def test_code_that_cannot_work(code: str, words: str) -> None:
    found = extract_code(f"```python\n{code}```")
    assert found.code is not None
    assert words in (found.problem or "")


@given(st.text(alphabet="`~ \npy\r\tx"))
def test_any_text_has_blocks_or_none(text: str) -> None:
    blocks, is_open = fenced_blocks(text)
    assert blocks or not is_open
    extract_code(text)
