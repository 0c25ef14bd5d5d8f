"""Let the model think step by step; the last number it writes is its answer."""

from llm_executor import execute_llm


def process_input(input_string: str) -> str:
    return execute_llm(
        f"{input_string}\nThink step by step, in few words. End with: The answer is",
        system_prompt="You solve maths problems carefully.",
    )
