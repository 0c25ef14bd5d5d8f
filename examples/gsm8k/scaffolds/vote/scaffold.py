"""Solve the problem in three ways, and take the last number that most of them end in."""

import re
from collections import Counter

from llm_executor import execute_llm

PROMPTS = (
    "{}\nThink step by step, in few words. End with: The answer is",
    "Problem: {}\nWrite down the calculation, then the answer.",
    "{}\nWhat is asked for, and which number is it?",
)


def process_input(input_string: str) -> str:
    numbers = [last_number(execute_llm(prompt.format(input_string))) for prompt in PROMPTS]
    found = [number for number in numbers if number]
    return Counter(found).most_common(1)[0][0] if found else "no number"


def last_number(text: str) -> str:
    """The last number of the text without separators, ``1234.5``; empty where there is none."""
    found = re.findall(r"-?\d[\d,]*(?:\.\d+)?", text)
    return found[-1].replace(",", "").removesuffix(".0").removesuffix(".00") if found else ""
