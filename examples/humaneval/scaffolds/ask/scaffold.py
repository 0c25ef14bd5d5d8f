"""Ask for the whole function, and return the code of the answer."""

import re

from llm_executor import execute_llm

FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)


def process_input(input_string: str) -> str:
    answer = execute_llm(
        f"Complete this Python function. Write the whole function and its imports, nothing else.\n\n{input_string}",
        system_prompt="You are a careful Python programmer.",
    )
    blocks = FENCE.findall(answer)
    return max(blocks, key=len) if blocks else answer
