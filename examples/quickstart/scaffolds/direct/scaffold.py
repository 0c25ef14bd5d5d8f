"""Ask the question as a person would."""

from llm_executor import execute_llm


def process_input(input_string: str) -> str:
    return execute_llm(f"What is {input_string}?", system_prompt="Be brief.")
