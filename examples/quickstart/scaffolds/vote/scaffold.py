"""Begin the sentence in up to three ways, and take the first number that two of them end in."""

import re

from llm_executor import execute_llm

SENTENCES = ("The sum of {} is", "The result of {} is", "The answer to {} is")


def process_input(input_string: str) -> str:
    seen: list[str] = []
    answer = ""
    for sentence in SENTENCES:
        answer = execute_llm(sentence.format(input_string), system_prompt="Be brief.")
        numbers = re.findall(r"-?\d+", answer)
        if numbers and numbers[-1] in seen:
            return numbers[-1]
        seen += numbers[-1:]
    return seen[0] if seen else answer
