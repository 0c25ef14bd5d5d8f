"""What people get wrong, through the command line: a sentence that says where, an exit code, nothing half-made."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.models import ExperimentMetadata, Plan, ScaffoldMetadata
from shared.queue import RUN_JOB, job_queue, make_app
from shared.volume import volume_id
from tests.conftest import COMMAND, command_environment, scaffoldry
from tests.e2e.conftest import (
    means_by_hand,
    only_experiment,
    refused,
    result_files,
    scoring_bytes,
    wait_until,
    worker,
    write_experiment,
)

ECHO = "def process_input(input_string):\n    return input_string\n"
EXAMPLES: list[dict[str, object]] = [{"input": str(n), "name": f"e{n}", "answer": str(n)} for n in range(3)]
Done = subprocess.CompletedProcess[str]
Invocation = tuple[tuple[str, ...], tuple[str, ...]]
"""Options of ``run``, and the words its refusal must have."""


def tree(folder: Path) -> dict[str, bytes | None]:
    """All that lies in a folder: file -> bytes, folder -> None; nothing where there is no such folder."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def run(spec: Path, data_dir: Path, *options: str, **environment: str) -> Done:
    arguments = ["run", str(spec), "--data-dir", str(data_dir), "--set", "sandbox=process", *options]
    return scaffoldry(*arguments, cwd=spec.parent, **environment)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A spec, and the experiment that came of it."""
    folder = tmp_path_factory.mktemp("finished")
    spec = write_experiment(folder / "spec", {"a": ECHO}, EXAMPLES)
    done = run(spec, folder / "experiments")
    assert done.returncode == 0, done.stderr
    return spec, only_experiment(folder / "experiments")


# ---------------------------------------------------------------------- what a spec names

DATASETS: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "There is no dataset"),
    "empty": (b"", "is empty; it must hold one JSON object a line"),
    "blank": (b"\n \n", "is empty"),
    "binary": (bytes(range(256)) * 8, "line 1: this is not text in UTF-8"),
    "not JSON": (b'{"input": "1", "answer": "1"}\n\n{"input": 2,}\n', "line 3: this is not JSON"),
    "no object": (b"[1]\n", "line 1: this is JSON, but no object"),
    "lone surrogate": (b'{"input": "\\ud800", "answer": "1"}\n', "line 1: half of a surrogate pair"),
    "lone surrogate in a field": (b'{"input": "1", "answer": ["\\udfff"]}\n', "line 1: half of a surrogate pair"),
}


@pytest.mark.parametrize("case", DATASETS)
def test_datasets(tmp_path: Path, case: str) -> None:
    content, sentence = DATASETS[case]
    spec = write_experiment(tmp_path / "spec", {"a": ECHO}, [])
    dataset = tmp_path / "spec" / "data.jsonl"
    if content is None:
        dataset.unlink()
    else:
        dataset.write_bytes(content)
    refused(run(spec, tmp_path / "experiments"), 2, "data.jsonl", sentence)
    assert not (tmp_path / "experiments").exists()


NAMES: dict[str, Invocation] = {
    "scorer": (("scorer.name=exakt",), ("no scorer named 'exakt'", "did you mean 'exact'", "numeric")),
    "scorer's option": (("scorer.ignore_cas=true",), ("ignore_cas", "did you mean 'ignore_case'")),
    "scorer's field": (("scorer.field=anwser",), ("anwser", "did you mean 'answer'")),
    "model": (("executor.model=sim/ecko",), ("no model named 'sim/ecko'", "did you mean 'sim/echo'")),
    "field": (("executor.timout=3",), ("unknown field 'timout' in executor", "did you mean 'timeout'")),
    "input": (("data.valid.input=inptu",), ("data.jsonl, line 1", "no field 'inptu'", "did you mean 'input'")),
    "sandbox": (("sandbox=dokcer",), ("no sandbox named 'dokcer'", "did you mean 'docker'")),
    "same id": (("data.valid.id=same",), ("data.jsonl: lines 1 and 2", "id 'x'")),
    "scaffold": (("scaffolds=[a, gone]",), ("scaffolds.1: there is no", "gone/scaffold.py")),
    "name": (("name=../x",), ("'../x'",)),
    "name of two lines": (('name="a\\nb"',), ("'a\\nb'",)),
    "missing script": (("executor.model=sim/script:gone.yaml",), ("spec/gone.yaml", "cannot be read: No such file")),
    "bad script": (("executor.model=sim/script:data.jsonl",), ("spec/data.jsonl", "neither a list of texts nor")),
    "missing key": (("executor.model=openai/gpt-x",), ("'openai/gpt-x' needs a key: set OPENAI_API_KEY",)),
    "missing key of one's own": (
        ("models.mine={model: openai/x, api_key_env: MY_KEY}", "executor.model=mine"),
        ("'mine' needs a key: set MY_KEY",),
    ),
    "scorer module": (("scorer={name: 'mine:grade'}",), ("'mine'", "beside the spec")),
    "scorer function": (("scorer={name: 'graders:grad'}",), ("no function 'grad'", "did you mean 'grade'")),
    "scorer that fails to load": (("scorer={name: 'broken:grade'}",), ("'broken' fails while it loads", "line 1")),
}


@pytest.mark.parametrize("case", NAMES)
def test_names_and_options(tmp_path: Path, case: str) -> None:
    settings, words = NAMES[case]
    examples = [{**example, "same": "x"} for example in EXAMPLES]
    spec = write_experiment(tmp_path / "spec", {"a": ECHO}, examples)
    (tmp_path / "spec" / "graders.py").write_text("def grade(output, example):\n    return 1.0\n")
    (tmp_path / "spec" / "broken.py").write_text("def grade(:\n")
    options = [word for setting in settings for word in ("--set", setting)]
    refused(run(spec, tmp_path / "experiments", *options), 2, *words)
    assert not (tmp_path / "experiments").exists()


MACHINES: dict[str, tuple[tuple[str, ...], dict[str, str], tuple[str, ...]]] = {
    "no Docker": (
        ("--set", "sandbox=docker"),
        {"DOCKER_HOST": "unix:///nonexistent/docker.sock"},
        ("could not answer at", "/nonexistent/docker.sock", "Start the engine", "Nothing was started"),
    ),
    "no weights": (
        ("--set", "executor.model=local/smollm2"),
        {"SCAFFOLDRY_CACHE_DIR": "cache"},
        ("run: scaffoldry models pull local/smollm2",),
    ),
    "no broker": (
        ("--broker-url", "redis://127.0.0.1:1/0"),
        {},
        ("redis://127.0.0.1:1/0 does not answer", "Start Redis"),
    ),
}


@pytest.mark.parametrize("case", MACHINES)
def test_machines(tmp_path: Path, case: str) -> None:
    options, environment, words = MACHINES[case]
    spec = write_experiment(tmp_path / "spec", {"a": ECHO}, EXAMPLES)
    refused(run(spec, tmp_path / "experiments", *options, **environment), 3, *words)
    assert not (tmp_path / "experiments").exists()


def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    spec = write_experiment(tmp_path / "spec", {"a": ECHO}, EXAMPLES)
    (tmp_path / "experiments").write_text("mine")
    refused(run(spec, tmp_path / "experiments"), 2, str(tmp_path / "experiments"))
    assert (tmp_path / "experiments").read_text() == "mine"


def test_a_script_counts_from_the_specs_folder_and_is_kept(tmp_path: Path) -> None:
    ask = "from llm_executor import execute_llm\n\ndef process_input(input_string):\n    return execute_llm('?')\n"
    write_experiment(tmp_path / "spec", {"a": ask}, EXAMPLES, executor={"model": "sim/script:words.yaml"})
    (tmp_path / "spec" / "words.yaml").write_text("- '1'\n")
    done = scaffoldry("run", "spec/spec.yaml", "--set", "sandbox=process", "--data-dir", "experiments", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    experiment = only_experiment(tmp_path / "experiments")
    assert [json.loads(path.read_text())["output"] for path in result_files(experiment)] == ["1"] * 3
    assert [path.read_text() for path in (experiment / "scripts").iterdir()] == ["- '1'\n"]


# ---------------------------------------------------------------------- scaffolds and their ids


def test_scaffolds_that_cannot_run_are_foreseen_and_the_others_go_on(tmp_path: Path) -> None:
    scaffolds = {
        "fine": ECHO,
        "syntax": "def process_input(input_string)\n    return 1\n",
        "absent": "def main():\n    return 1\n",
        "imports": "import no_such_package\n\ndef process_input(input_string):\n    return '1'\n",
    }
    spec = write_experiment(tmp_path / "spec", scaffolds, EXAMPLES[:1])
    done = run(spec, tmp_path / "experiments")
    assert done.returncode == 0, done.stderr
    assert "Warning: syntax: line 1 of its code is not valid Python" in done.stderr
    assert "Warning: absent: its code defines no process_input" in done.stderr
    assert "Traceback" not in done.stderr
    experiment = only_experiment(tmp_path / "experiments")
    results = {path.parent.name: json.loads(path.read_text()) for path in result_files(experiment)}
    assert [results[id]["status"] for id in "0123"] == ["ok", "scaffold_error", "scaffold_error", "scaffold_error"]
    assert [results[id]["score"] for id in "0123"] == [1.0, 0.0, 0.0, 0.0]
    logs = [(experiment / "logs/0" / id / "valid_0.log").read_text() for id in "123"]
    for log, word in zip(logs, ("SyntaxError", "process_input", "ModuleNotFoundError"), strict=True):
        assert word in log
    assert "Traceback (most recent call last)" in logs[2]


@pytest.mark.parametrize("command", ["show", "logs"])
@pytest.mark.parametrize("scaffold_id", ["../0", "0\n", "a\nb", "", "/etc"])
def test_scaffold_ids(finished: tuple[Path, Path], command: str, scaffold_id: str) -> None:
    _, experiment = finished
    before = tree(experiment.parent)
    done = scaffoldry(command, str(experiment), scaffold_id, "valid_0", cwd=experiment)
    refused(done, 2, repr(scaffold_id), "is not a scaffold id")
    assert tree(experiment.parent) == before


# ---------------------------------------------------------------------- resume and score


def test_a_spec_that_has_changed(finished: tuple[Path, Path]) -> None:
    spec, experiment = finished
    before, text = tree(experiment.parent), spec.read_text()
    changed = {**json.loads(text), "executor": {"model": "sim/arithmetic", "timeout": 7}}
    spec.write_text(json.dumps(changed))
    try:
        done = scaffoldry("resume", str(experiment), cwd=experiment)
        refused(done, 2, str(spec), 'executor.model: "sim/echo" -> "sim/arithmetic"', "executor.timeout: 120 -> 7")
        assert f"{COMMAND} resume {experiment} --ignore-spec-change" in done.stderr
        assert tree(experiment.parent) == before
        done = scaffoldry("resume", str(experiment), "--ignore-spec-change", cwd=experiment)
        assert done.returncode == 0, done.stderr
        after = tree(experiment.parent)
        assert after.pop(str(experiment / "sessions" / "2")) == b""  # that it was taken up again, and nothing else
        assert after == before
    finally:
        spec.write_text(text)


def test_a_scorer_that_raises_is_shown_loudly_and_can_be_mended(tmp_path: Path) -> None:
    spec = write_experiment(tmp_path / "spec", {"a": ECHO}, EXAMPLES, scorer={"name": "graders:grade"})
    module = tmp_path / "spec" / "graders.py"
    module.write_text("def grade(output, example):\n    return {'0': 1.0}[output]\n")
    done = run(spec, tmp_path / "experiments")
    assert done.returncode == 1, done.stderr
    assert "SCORER ERRORS" in done.stderr and f"{COMMAND} score" in done.stderr and "Traceback" not in done.stderr
    experiment = only_experiment(tmp_path / "experiments")
    results = [json.loads(path.read_text()) for path in result_files(experiment)]
    assert [result["status"] for result in results] == ["ok", "scorer_error", "scorer_error"]
    assert "KeyError: '1'" in results[1]["error_message"] and results[1]["score"] == 0.0
    assert json.loads((experiment / "scoring/scores_0.json").read_text())["valid"] == {"0": pytest.approx(1 / 3)}

    before = tree(experiment)
    module.write_text("def grade(output, example)\n    return 1.0\n")
    refused(scaffoldry("score", str(experiment), cwd=tmp_path), 2, "'graders' fails while it loads", "line 1")
    assert tree(experiment) == before

    module.write_text("def grade(output, example):\n    return float(output == example['answer']) / 2\n")
    done = scaffoldry("score", str(experiment), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 outputs scored again: 3 scores changed." in done.stderr
    assert (experiment / "scorers/graders.py").read_text() == module.read_text()
    assert json.loads((experiment / "scoring/scores_0.json").read_text()) == means_by_hand(experiment)
    assert means_by_hand(experiment)["valid"] == {"0": 0.5}

    module.unlink()
    (experiment / "scorers/graders.py").write_text("def grade(output, example):\n    return 1\n")
    assert scaffoldry("score", str(experiment), cwd=tmp_path).returncode == 0
    assert means_by_hand(experiment)["valid"] == {"0": 1.0}


def test_a_result_that_is_in_no_plan_is_named(finished: tuple[Path, Path]) -> None:
    _, experiment = finished
    plan = experiment / "plans/0.json"
    text = plan.read_text()
    record = json.loads(text)
    del record["runs"]["valid_2"]
    plan.write_text(json.dumps(record))
    try:
        done = scaffoldry("score", str(experiment), cwd=experiment)
        refused(done, 2, str(experiment), "scaffold 0 on valid_2", "no part of that iteration's plan")
    finally:
        plan.write_text(text)


# ---------------------------------------------------------------------- nobody listens; messages of others

HOSTILE: list[dict[str, Any]] = [
    {"experiment": "../../etc", "iteration": 0, "scaffold_id": "0", "run_type": "valid_0"},
    {"experiment": "x", "iteration": 0, "scaffold_id": "../../x", "run_type": "valid_0"},
    {"experiment": "x", "iteration": 0, "scaffold_id": "a\0b", "run_type": "valid_0"},
    {"experiment": "x", "iteration": -1, "scaffold_id": "0\n", "run_type": "valid_0/../.."},
]


@pytest.mark.redis
def test_without_a_worker_it_says_so_and_waits_for_one(tmp_path: Path, redis_url: str) -> None:
    """The worker that comes at last also finds messages that are no jobs, and refuses each of them."""
    url = redis_url.removesuffix("/0") + "/12"
    data_dir = tmp_path / "experiments"
    spec = write_experiment(tmp_path / "spec", {"a": ECHO}, EXAMPLES, sandbox="process")
    app = make_app(url, job_queue(volume_id(data_dir), "process"))
    answers = [app.send_task(RUN_JOB, kwargs={"job": job, "attempt": 1, "session": 1}) for job in HOSTILE]
    talk = tmp_path / "talk"
    with talk.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "coordinator", "run", str(spec), "--data-dir", str(data_dir), "--broker-url", url],
            env=command_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
        )
    try:
        wait_until(lambda: "No worker is listening" in talk.read_text(), 60, "a sentence about the workers")
        assert f"{COMMAND} worker --broker-url {url}" in talk.read_text()
        assert process.poll() is None
        with worker(url, data_dir, "--sandbox", "process", "--concurrency", "1", name="late"):
            assert process.wait(60) == 0, talk.read_text()
            for answer in answers:
                receipt = answer.get(timeout=30)
                assert receipt["status"] == "infra_error"
                assert receipt["error_message"].startswith("The message is no job: ")
    finally:
        process.kill()
        process.wait()
        app.close()
    experiment = only_experiment(data_dir)
    assert len(result_files(experiment)) == 3
    assert sorted(tmp_path.iterdir()) == [data_dir, tmp_path / "spec", talk]
    assert [path for path in data_dir.iterdir() if not path.name.startswith(".")] == [experiment]


# ---------------------------------------------------------------------- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.fail(f"This test mounts a small disk, which takes root: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, left: int) -> Path:
    """A file that takes all room of a disk but about ``left`` bytes."""
    disk, ballast = os.statvfs(folder), folder / "ballast"
    ballast.write_bytes(b"x" * (disk.f_bavail * disk.f_frsize - left))
    return ballast


def check_whole(experiment: Path) -> None:
    """No file of the experiment is torn, and none is left over from a write that failed."""
    assert not [path for path in experiment.rglob("*") if path.name.startswith(".")]
    ExperimentMetadata.model_validate_json((experiment / "metadata.json").read_bytes())
    Plan.model_validate_json((experiment / "plans/0.json").read_bytes())
    for path in experiment.glob("scaffolds/*"):
        ScaffoldMetadata.model_validate_json((path / "metadata.json").read_bytes())
        assert (path / "scaffold.py").read_text() == ECHO
    for folder in ("results", "quarantine", "scoring"):
        for path in experiment.glob(f"{folder}/**/*.json"):
            assert isinstance(json.loads(path.read_bytes()), dict)


def test_a_disk_that_is_full_from_the_start(tmp_path: Path, small_disk: Path) -> None:
    spec = write_experiment(tmp_path / "spec", {"a": ECHO}, EXAMPLES)
    ballast = fill(small_disk, left=16 * 1024)
    refused(run(spec, small_disk), 2, "The disk is full", str(small_disk), "Free some space")
    assert list(small_disk.iterdir()) == [ballast]


def test_a_disk_that_fills_up_and_is_cleared(tmp_path: Path, small_disk: Path) -> None:
    """It is waited for: a session that has begun says what is the matter, and goes on once there is room."""
    examples: list[dict[str, object]] = [{"input": str(n), "answer": str(n % 7)} for n in range(24)]
    spec = write_experiment(tmp_path / "spec", {"a": ECHO}, examples)
    quiet = run(spec, tmp_path / "quiet")
    assert quiet.returncode == 0, quiet.stderr

    ballast, talk = fill(small_disk, left=128 * 1024), tmp_path / "talk"
    with (
        talk.open("wb") as file,
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "coordinator",
                "run",
                str(spec),
                "--data-dir",
                str(small_disk),
                "--set",
                "sandbox=process",
            ],
            env=command_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
        ) as process,
    ):
        try:
            wait_until(lambda: "The disk is full" in talk.read_text(), 100, "a sentence about the disk")
            assert "Free some space" in talk.read_text()
            experiment = only_experiment(small_disk)
            before = {path: path.read_bytes() for path in result_files(experiment)}
            assert 0 < len(before) < 24 and process.poll() is None
            check_whole(experiment)
            ballast.unlink()
            assert process.wait(200) == 0, talk.read_text()
        finally:
            process.kill()
    assert "Traceback" not in talk.read_text()
    assert all(path.read_bytes() == data for path, data in before.items())
    assert len(result_files(experiment)) == 24
    check_whole(experiment)
    assert scoring_bytes(experiment) == scoring_bytes(only_experiment(tmp_path / "quiet"))
