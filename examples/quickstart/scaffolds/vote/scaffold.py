"""Begin the sentence in three ways, and take the number that most of them end in."""

import re
from collections import Counter

from llm_executor import execute_llm

SENTENCES = ("The sum of {} is", "The result of {} is", "The answer to {} is")


def process_input(input_string: str) -> str:
    answers = [execute_llm(sentence.format(input_string)) for sentence in SENTENCES]
    numbers = [found[-1] for answer in answers if (found := re.findall(r"-?\d+", answer))]
    if not numbers:
        return answers[0]
    return Counter(numbers).most_common(1)[0][0]
