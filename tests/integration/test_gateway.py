"""A scaffold's own call, through the runtime files and the gateway, to a model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.model_names import parse_model
from shared.runtime import read_runtime_files
from worker.gateway.server import Gateway, GatewayConfig, open_gateway


@pytest.fixture
def scaffold_dir(tmp_path: Path) -> Path:
    for name, text in read_runtime_files().items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(gateway: Gateway, scaffold_dir: Path, code: str) -> str:
    environment = {"SCAFFOLDRY_SOCKET": str(gateway.directory / "gateway.sock"), "PATH": os.defpath}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=scaffold_dir,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_program_asks_and_votes(scaffold_dir: Path) -> None:
    code = (
        "from collections import Counter\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from llm_executor import execute_llm\n"
        "with ThreadPoolExecutor(5) as pool:\n"
        "    votes = list(pool.map(lambda _: execute_llm('What is 17 + 25?', 'Be brief.'), range(15)))\n"
        "print(Counter(votes).most_common(1)[0][0])\n"
        "print(sorted(votes))\n"
    )
    config = GatewayConfig(model=parse_model("sim/arithmetic:0.4", {}), timeout=60)
    outputs = []
    for _ in range(2):
        with open_gateway(config) as gateway:
            outputs.append(run(gateway, scaffold_dir, code))
            assert gateway.usage().calls == 15
    assert outputs[0] == outputs[1], "the same calls have the same answers, in whatever order they come"
    assert outputs[0].startswith("42\n") and "'42', '42'" in outputs[0]


def test_a_budget_that_runs_out_is_an_error_of_the_call(scaffold_dir: Path) -> None:
    code = (
        "from llm_executor import LLMError, execute_llm\n"
        "for _ in range(3):\n"
        "    try: print(execute_llm('hello'))\n"
        "    except LLMError as error: print(error)\n"
    )
    config = GatewayConfig(model=parse_model("sim/echo", {}), max_calls=2, timeout=60)
    with open_gateway(config) as gateway:
        output = run(gateway, scaffold_dir, code)
    assert output.splitlines() == [
        "hello",
        "hello",
        "The model call failed (429): The run has used up its budget of model calls.",
    ]
    assert gateway.budget_exceeded


def test_a_large_prompt_and_one_too_large(scaffold_dir: Path) -> None:
    code = (
        "from llm_executor import LLMError, execute_llm\n"
        "print(len(execute_llm('x' * 900_000)))\n"
        "try: execute_llm('x' * 1_200_000)\n"
        "except LLMError as error: print(error)\n"
    )
    with open_gateway(GatewayConfig(model=parse_model("sim/echo", {}), timeout=60)) as gateway:
        lines = run(gateway, scaffold_dir, code).splitlines()
    assert lines[0] == "900000"
    assert lines[1] == "The model call failed (413): The body is larger than 1048576 bytes."
    assert gateway.usage().calls == 1
