"""Ask in three ways, and take the answer given most often."""

from collections import Counter

from llm_executor import execute_llm

PROMPTS = ("{}", "{} Answer with the number alone.", "Think before you answer. {}")


def process_input(input_string: str) -> str:
    answers = [execute_llm(prompt.format(input_string)) for prompt in PROMPTS]
    return Counter(answers).most_common(1)[0][0]
