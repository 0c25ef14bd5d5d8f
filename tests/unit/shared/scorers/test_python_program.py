"""Finding the program in an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.scorers.python_harness import _first_that_compiles
from shared.scorers.python_program import MAX_PROGRAMS, candidate_programs, fenced_blocks

PROMPT = 'import math\n\n\ndef half(x: int) -> float:\n    """Half of x."""\n'

OUTPUTS = {
    "body as it follows the prompt": "    return x / 2\n",
    "body without its first indent": "y = x / 2\n    return y",
    "body without any indent": "y = x\nreturn y / 2",
    "body after a blank line": "\n\n    return x / 2",
    "body indented by a tab": "\treturn x / 2",
    "body indented by two": "  y = x\n  return y / 2",
    "whole program": "def half(x):\n    return x / 2\n",
    "whole program that needs the prompt's imports": "def half(x):\n    return math.fsum([x]) / 2\n",
    "whole program from the future": "from __future__ import annotations\n\ndef half(x):\n    return x / 2\n",
    "whole program with a helper": "def h(x):\n    return x / 2\n\ndef half(x):\n    return h(x)\n",
    "whole program that runs too": "def half(x):\n    return x / 2\n\nif __name__ == '__main__':\n    1 / 0\n",
    "fenced": "```python\ndef half(x):\n    return x / 2\n```",
    "fenced body": "The body is:\n```python\n    return x / 2\n```\nDone.",
    "fenced with prose around": "Sure, it's this:\n\n```python\ndef half(x):\n    return x / 2\n```\n\nIt's halved.",
    "fenced without a language": "```\ndef half(x):\n    return x / 2\n```",
    "fence that is never closed": "```python\ndef half(x):\n    return x / 2\n",
    "indented fence": "1. So:\n   ```python\n   def half(x):\n       return x / 2\n   ```\n",
    "two fences": "```py\ndef half(x):\n    return 0\n```\nNo:\n```py\ndef half(x):\n    return x / 2\n```",
    "fence of examples after it": "```py\ndef half(x):\n    return x / 2\n```\n```py\nprint(half(3))\n```",
    "fence of a shell before it": "```sh\npip install x\n```\n```py\ndef half(x):\n    return x / 2\n```",
    "prose around and no fence": "Here it is:\n\ndef half(x):\n    return x / 2\n\nThat's it, isn't it?",
    "fenced body after a head with a blank of Unicode's": "def\u00a0half(x):\n```\n    return x / 2\n```\n",
    "fenced body after a head with two blanks": "async  def half(x):\n```\n    return x / 2\n```\n",
    "windows line ends": "def half(x):\r\n    return x / 2\r\n",
}  # fmt: skip


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS.keys())
@pytest.mark.parametrize("prompt", [PROMPT, PROMPT.rstrip("\n")], ids=["ended", "open"])
def test_the_first_program_that_compiles_is_the_one_meant(prompt: str, output: str) -> None:
    namespace = {"__name__": "solution"}
    exec(_first_that_compiles(candidate_programs(prompt, output, "half")), namespace)
    assert namespace["half"](3) == 1.5  # type: ignore[operator]


def test_fences_are_found_in_order() -> None:
    assert fenced_blocks("a\n```\n1\n```\nb\n```py\n2\n```\n```\n   \n```\n") == ["1\n", "2\n"]


BLANK = st.sampled_from([" ", "  ", "\t", "\n", "\r", "\f", "\v", "\x1c", "\x85", "\u00a0", "\u2003", "\u2028"])
KEYWORD = st.sampled_from(["def", "class", "async def"]) | BLANK.map("async{}def".format)
HEAD = st.tuples(KEYWORD, BLANK, st.sampled_from(["half", "half(x):\n return x"])).map("".join)
CODE = st.lists(HEAD | BLANK | st.just("```\n"), min_size=1, max_size=3).map("".join)


@given(st.text(), st.text() | CODE)
def test_any_text_makes_a_bounded_number_of_programs(prompt: str, output: str) -> None:
    programs = candidate_programs(prompt, output, "half")
    assert 1 <= len(programs) <= MAX_PROGRAMS
    assert sum(map(len, programs)) <= MAX_PROGRAMS * 6 * (len(prompt) + len(output) + 100)
