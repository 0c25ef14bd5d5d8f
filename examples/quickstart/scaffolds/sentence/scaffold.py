"""Let the model complete a sentence that leads straight to the answer."""

from llm_executor import execute_llm


def process_input(input_string: str) -> str:
    return execute_llm(f"The answer to {input_string} is", system_prompt="Be brief.")
