"""Ask once."""

from llm_executor import execute_llm


def process_input(input_string: str) -> str:
    return execute_llm(input_string)
