"""Ask as the question stands. Ask as often as PARAMETERS says, and take the answer given most often."""

from collections import Counter

from llm_executor import execute_llm

PARAMETERS = {
    "votes": {"value": 1, "range": [1, 9]},
    "ending": {"value": "", "choices": ["", " Answer with the number alone.", " Think first."]},
}

PROMPT = "{question}"


def process_input(input_string: str) -> str:
    prompt = PROMPT.format(question=input_string) + PARAMETERS["ending"]["value"]
    answers = [execute_llm(f"{prompt} (try {number + 1})") for number in range(PARAMETERS["votes"]["value"])]
    return Counter(answers).most_common(1)[0][0]
