"""Whole experiments through the command line: real containers, a real queue, files at the end."""

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from shared.queue import job_queue
from shared.volume import volume_id
from tests.conftest import COMMAND, ROOT, command_environment, scaffoldry
from tests.e2e.conftest import (
    WORKER,
    containers,
    means_by_hand,
    only_experiment,
    result_files,
    scoring_bytes,
    wait_until,
    worker,
    write_experiment,
)

SHORT = ("--set", "data.valid.offset=6", "--set", "data.valid.limit=6")
ARITHMETIC = ROOT / "examples" / "arithmetic" / "experiment.yaml"
ECHO = "def process_input(input_string):\n    return input_string\n"
SLOW_ECHO = "import time\n\ndef process_input(input_string):\n    time.sleep(0.3)\n    return input_string\n"

pytestmark = pytest.mark.docker


def numbers(count: int) -> list[dict[str, object]]:
    return [{"input": str(n), "answer": str(n if n % 3 else -1)} for n in range(count)]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "experiments"


@pytest.mark.redis
@pytest.mark.timeout(900)
def test_the_same_spec_gives_the_same_bytes_wherever_it_runs(
    tmp_path: Path, redis_url: str, sandbox_image: str
) -> None:
    """Embedded and over Redis, with 1 and with 4 slots."""
    found = []
    for slots in ("1", "4"):
        data_dir = tmp_path / f"embedded-{slots}"
        done = scaffoldry(
            "run",
            str(ARITHMETIC),
            *SHORT,
            "--data-dir",
            str(data_dir),
            "--concurrency",
            slots,
            cwd=tmp_path,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        found.append(scoring_bytes(only_experiment(data_dir)))
        data_dir = tmp_path / f"redis-{slots}"
        data_dir.mkdir()
        with worker(redis_url, data_dir, "--concurrency", slots):
            done = scaffoldry(
                "run",
                str(ARITHMETIC),
                *SHORT,
                "--data-dir",
                str(data_dir),
                "--broker-url",
                redis_url,
                cwd=tmp_path,
                timeout=200,
            )
        assert done.returncode == 0, done.stderr
        receipts = [value for _, value in stored(redis_url, "celery-task-meta-*")]
        assert len(receipts) == 12
        assert not any(str(tmp_path).encode() in receipt for receipt in receipts)
        experiment = only_experiment(data_dir)
        found.append(scoring_bytes(experiment))
        assert json.loads(found[-1]["scores_0.json"]) == means_by_hand(experiment)
    assert set(found[0]) == {"scores_0.json", "details_0.json"}
    assert all(one == found[0] for one in found)
    means = json.loads(found[0]["scores_0.json"])["valid"]
    direct, vote = ((experiment / f"scaffolds/{id}/scaffold.py").read_text() for id in ("0", "1"))
    assert "Counter" in vote and "Counter" not in direct
    assert means["1"] > means["0"]  # voting beats asking once
    assert containers(f"scaffoldry.worker={WORKER}") == []


def stored(url: str, pattern: str) -> list[tuple[bytes, bytes]]:
    """What a Redis holds under keys of that pattern, which is removed."""
    server = redis.Redis.from_url(url)
    found = [(key, server.get(key) or b"") for key in server.scan_iter(pattern)]
    for key, _ in found:
        server.delete(key)
    return found


def test_interrupted_and_resumed_every_job_counts_once(tmp_path: Path, data_dir: Path, sandbox_image: str) -> None:
    spec = write_experiment(tmp_path / "spec", {"a": SLOW_ECHO, "b": SLOW_ECHO}, numbers(12))
    undisturbed = scaffoldry("run", str(spec), "--data-dir", str(tmp_path / "quiet"), cwd=tmp_path)
    assert undisturbed.returncode == 0, undisturbed.stderr

    process = subprocess.Popen(
        [sys.executable, "-m", "coordinator", "run", str(spec), "--data-dir", str(data_dir)],
        env=command_environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: data_dir.exists() and any(data_dir.glob("*/metadata.json")), 30, "an experiment")
    experiment = only_experiment(data_dir)
    wait_until(lambda: len(result_files(experiment)) >= 8, 60, "eight results")
    process.send_signal(signal.SIGINT)
    _, talk = process.communicate(timeout=60)
    assert process.returncode == 130, talk
    assert f"{COMMAND} resume {experiment}" in talk
    assert containers(f"scaffoldry.experiment={experiment.name}") == []
    before = {path: path.read_bytes() for path in result_files(experiment)}
    assert 8 <= len(before) < 24

    resumed = scaffoldry("resume", str(experiment), cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert len(result_files(experiment)) == 24
    assert all(path.read_bytes() == data for path, data in before.items())
    for path in before:
        log = experiment / "logs" / path.relative_to(experiment / "results").with_suffix(".log")
        assert log.read_text().count("=== run: ") == 1
    assert scoring_bytes(experiment) == scoring_bytes(only_experiment(tmp_path / "quiet"))


@pytest.mark.redis
def test_no_message_holds_a_path_and_waiting_is_said(tmp_path: Path, data_dir: Path, redis_url: str) -> None:
    """Nobody listens, so the messages can be read off the broker."""
    url = redis_url.removesuffix("/0") + "/7"
    spec = write_experiment(tmp_path / "spec", {"a": ECHO}, numbers(5))
    done = scaffoldry(
        "run", str(spec), "--data-dir", str(data_dir), "--broker-url", url, "--no-wait", cwd=tmp_path, timeout=60
    )
    assert done.returncode == 3, done.stderr
    assert "No worker is listening" in done.stderr
    assert f"{COMMAND} resume {only_experiment(data_dir)}" in done.stderr
    messages = [
        json.loads(raw) for raw in redis.Redis.from_url(url).lrange(job_queue(volume_id(data_dir), "docker"), 0, -1)
    ]
    assert len(messages) == 5
    for message in messages:
        assert message["content-type"] == "application/json"
        text = json.dumps(message) + base64.b64decode(message["body"]).decode()
        places = (str(tmp_path), str(ROOT), os.path.expanduser("~"), os.getcwd(), sys.prefix, "/tmp")
        assert not [place for place in places if place in text and place != "/"]
        _, kwargs, _ = json.loads(base64.b64decode(message["body"]))
        assert set(kwargs) == {"job", "attempt", "session"}
        assert set(kwargs["job"]) == {"experiment", "iteration", "scaffold_id", "run_type"}


def test_what_programs_do_is_told_apart_and_the_others_go_on(
    tmp_path: Path, data_dir: Path, sandbox_image: str
) -> None:
    scaffolds = {
        "fine": ECHO,
        "syntax": "def process_input(input_string)\n    return 1\n",
        "absent": "def main():\n    return 1\n",
        "imports": "import no_such_package\n\ndef process_input(input_string):\n    return '1'\n",
        "number": "def process_input(input_string):\n    return 7\n",
        "endless": "def process_input(input_string):\n    while True:\n        pass\n",
        "talker": "def process_input(input_string):\n    while True:\n        print('x' * 1000)\n",
        "hungry": "def process_input(input_string):\n    return 'x' * 10**9 + 'y' * 10**9\n",
    }
    executor = {"model": "sim/echo", "timeout": 5, "output_limit": "64k", "memory": "128m"}
    spec = write_experiment(tmp_path / "spec", scaffolds, [{"input": "7", "answer": "7"}], executor=executor)
    done = scaffoldry("run", str(spec), "--data-dir", str(data_dir), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    experiment = only_experiment(data_dir)
    results = {path.parent.name: json.loads(path.read_text()) for path in result_files(experiment)}
    names = list(scaffolds)
    assert {names[int(id)]: result["status"] for id, result in results.items()} == {
        "fine": "ok",
        "syntax": "scaffold_error",
        "absent": "scaffold_error",
        "imports": "scaffold_error",
        "number": "invalid_output",
        "endless": "timeout",
        "talker": "output_limit",
        "hungry": results[str(names.index("hungry"))]["status"],
    }
    assert results[str(names.index("hungry"))]["status"] in ("oom", "scaffold_error")  # killed, or a MemoryError
    assert {result["score"] for id, result in results.items() if id != "0"} == {0.0}
    for name, word in (("syntax", "SyntaxError"), ("absent", "process_input"), ("imports", "ModuleNotFoundError")):
        log = (experiment / "logs/0" / str(names.index(name)) / "valid_0.log").read_text()
        assert word in log
