"""What a scaffold imports to call its model: ``from llm_executor import execute_llm``."""

from llm_interfaces import LLMError, complete  # type: ignore[import-not-found]  # lies beside this file

__all__ = ["LLMError", "execute_llm"]


def execute_llm(prompt: str, system_prompt: str = "") -> str:
    """Ask the run's model and return its answer. Raises LLMError, which says why there is none. Thread-safe."""
    texts: tuple[object, ...] = (prompt, system_prompt)
    if not all(isinstance(text, str) for text in texts):
        raise LLMError("execute_llm takes texts: a prompt and, if wanted, a system prompt.")
    messages = [{"role": "user", "content": prompt}]
    if system_prompt:
        messages.insert(0, {"role": "system", "content": system_prompt})
    answer: str = complete(messages)
    return answer
