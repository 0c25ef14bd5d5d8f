"""Ask for the number alone."""

from llm_executor import execute_llm


def process_input(input_string: str) -> str:
    return execute_llm(f"{input_string}\nAnswer with the number alone.")
