"""The scaffold to beat: it hands the task and the input to the model, and the model's answer back."""

from datetime import datetime

from shared.models.scaffold import ScaffoldMetadata, ScaffoldResult

BASELINE = "baseline"
"""Its id. It is evaluated beside the others and may win, but is never evolved."""

_CODE = '''"""The prompt alone: what every other scaffold has to beat."""

from llm_executor import execute_llm

TASK = {task!r}


def process_input(input_string):
    return execute_llm(input_string, TASK)
'''


def baseline_scaffold(task: str, now: datetime) -> ScaffoldResult:
    """The baseline of a task, as it is written by Scaffoldry itself."""
    return ScaffoldResult(code=_CODE.format(task=task), metadata=ScaffoldMetadata(created_at=now, source=BASELINE))
