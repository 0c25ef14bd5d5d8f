"""``execute_scaffold`` from plain Python, without Celery: the founding document's function."""

import inspect
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.errors import InvalidId, UnknownName
from shared.file_manager import ExperimentFileManager
from shared.models import ScaffoldExecutionResult, ScaffoldMetadata, ScaffoldResult, Status
from worker.execution import execute_scaffold

pytestmark = pytest.mark.docker

ASK = "from llm_executor import execute_llm\n\ndef process_input(input_string):\n    print('asking')\n"
ASK += "    return execute_llm('What is ' + input_string + '?')\n"


@pytest.fixture
def files(tmp_path: Path, sandbox_image: str) -> ExperimentFileManager:
    return ExperimentFileManager(tmp_path / "by-hand")


def save(files: ExperimentFileManager, code: str) -> None:
    files.save_scaffold("0", ScaffoldResult(code=code, metadata=ScaffoldMetadata(created_at=datetime.now(UTC))))


def test_the_signature_is_the_documents() -> None:
    assert re.sub(r"(\w+\.)+", "", str(inspect.signature(execute_scaffold))) == (
        "(file_manager: ExperimentFileManager, scaffold_id: str, iteration: int, run_type: str, input_string: str, "
        "model: str, timeout: int = 120) -> ScaffoldExecutionResult"
    )


def test_a_scaffold_asks_its_model_and_answers(files: ExperimentFileManager, tmp_path: Path) -> None:
    save(files, ASK)
    result = execute_scaffold(files, "0", 2, "train_0", "17 + 25", "sim/arithmetic:0")
    assert isinstance(result, ScaffoldExecutionResult)
    assert (result.status, result.output, result.exit_code, result.error_message) == (Status.OK, "42", 0, None)
    assert result.stderr == "asking\n"
    assert 0 < result.execution_time < 60
    log = (tmp_path / "by-hand/logs/2/0/train_0.log").read_text()
    assert "--- input\n17 + 25\n" in log
    assert "asking" in log
    assert "=== finished: ok" in log


def test_a_scaffold_that_fails_says_why(files: ExperimentFileManager) -> None:
    save(files, "def process_input(input_string):\n    raise KeyError('colour')\n")
    result = execute_scaffold(files, "0", 0, "valid_0", "x", "sim/echo")
    assert result.status is Status.SCAFFOLD_ERROR
    assert "KeyError: 'colour'" in (result.error_message or "")
    assert result.exit_code != 0
    assert result.output is None


def test_a_scaffold_that_takes_too_long(files: ExperimentFileManager) -> None:
    save(files, "import time\n\ndef process_input(input_string):\n    time.sleep(60)\n")
    result = execute_scaffold(files, "0", 0, "valid_0", "x", "sim/echo", timeout=1)
    assert result.status is Status.TIMEOUT
    assert result.execution_time < 30


def test_what_it_refuses(files: ExperimentFileManager) -> None:
    with pytest.raises(FileNotFoundError, match="'9'"):
        execute_scaffold(files, "9", 0, "valid_0", "x", "sim/echo")
    save(files, ASK)
    with pytest.raises(UnknownName, match="sim/echo"):
        execute_scaffold(files, "0", 0, "valid_0", "x", "sim/ecco")
    for scaffold_id, run_type in (("../0", "valid_0"), ("0", "valid_x"), ("0", "../valid_0")):
        with pytest.raises(InvalidId):
            execute_scaffold(files, scaffold_id, 0, run_type, "x", "sim/echo")
