"""What a person gets wrong: one sentence on stderr, exit 2, nothing written, no traceback."""

from pathlib import Path

import pytest

from shared.file_manager import ExperimentFileManager

BAD_IDS = ["../x", "a/b", "..", "", "x\n", "a\0b", "x" * 65]


def refused(found, *words: str) -> None:
    assert found.exit_code == 2, found.output
    assert found.stdout == ""
    assert "Traceback" not in found.stderr and "─" not in found.stderr
    for word in words:
        assert word in found.stderr


@pytest.mark.parametrize("command", ["show", "logs"])
@pytest.mark.parametrize("scaffold_id", BAD_IDS)
def test_bad_scaffold_ids(invoke, experiment: ExperimentFileManager, command: str, scaffold_id: str) -> None:
    refused(invoke(command, experiment, scaffold_id, "valid_0"), "is not a scaffold id")


@pytest.mark.parametrize("command", ["show", "logs"])
@pytest.mark.parametrize("run_type", ["../../metadata", "valid", "valid_01", "valid_1\n", "valid_\0", "dev_1", ""])
def test_bad_run_types(invoke, experiment: ExperimentFileManager, command: str, run_type: str) -> None:
    refused(invoke(command, experiment, "0", run_type), "is not a run type")


@pytest.mark.parametrize("command", ["show", "logs"])
def test_unknown_scaffolds_and_runs_say_what_there_is(invoke, experiment: ExperimentFileManager, command: str) -> None:
    refused(invoke(command, experiment, "7", "valid_0"), "has no scaffold '7'", "Known: 0, 1, 2.")
    refused(
        invoke(command, experiment, "0", "valid_9"), "valid_9 is not part of iteration 0", "valid_0, valid_1, valid_2"
    )
    refused(invoke(command, experiment, "0", "valid_0", "--iteration", "4"), "has no iteration 4. It has: 0.")
    refused(invoke(command, experiment, "0", "valid_0", "--iteration", "-1"), "--iteration")


@pytest.mark.parametrize(
    "arguments",
    [
        ("ls", "DIR"),
        ("show", "DIR", "0"),
        ("logs", "DIR", "0", "valid_0"),
        ("score", "DIR"),
        ("cancel", "DIR"),
        ("report", "DIR"),
        ("verify", "DIR"),
        ("resume", "DIR"),
    ],
)
@pytest.mark.parametrize("directory", ["nowhere", ".", "a\nb"])
def test_what_is_no_experiment(invoke, home: Path, arguments: tuple[str, ...], directory: str) -> None:
    refused(invoke(*(directory if word == "DIR" else word for word in arguments)), "holds no experiment")
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("command", [("run",), ("show", "d"), ("nonsense",), ("ls", "--nonsense"), ("image", "x")])
def test_usage_errors_are_plain(invoke, command: tuple[str, ...]) -> None:
    refused(invoke(*command), "Usage: scaffoldry", "Error: ")


@pytest.mark.parametrize("option", [(), ("--dry-run",)])
def test_a_missing_spec(invoke, home: Path, option: tuple[str, ...]) -> None:
    refused(invoke("run", "nowhere.yaml", *option), "nowhere.yaml")
    assert list(home.iterdir()) == []


def test_a_broken_spec_writes_nothing(invoke, home: Path) -> None:
    (home / "spec.yaml").write_text("name: [")
    refused(invoke("run", "spec.yaml"), "spec.yaml")
    assert not (home / "experiments").exists()


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_concurrency_is_checked(invoke, value: str) -> None:
    refused(invoke("run", "spec.yaml", "--concurrency", value), "--concurrency")
    refused(invoke("run", "spec.yaml", SCAFFOLDRY_CONCURRENCY=value), "concurrency")


def test_a_bad_setting_names_its_variable(invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCAFFOLDRY_DEBUG", "perhaps")
    refused(invoke("ls"), "SCAFFOLDRY_DEBUG")


def test_a_worker_needs_a_broker(invoke) -> None:
    refused(invoke("worker"), "A worker needs a broker", "SCAFFOLDRY_BROKER_URL")


def test_flower_needs_a_broker_a_password_and_a_port(invoke) -> None:
    refused(invoke("flower"), "Flower needs a broker", "SCAFFOLDRY_BROKER_URL")
    url = ("--broker-url", "redis://127.0.0.1:1/0")
    refused(invoke("flower", *url), "Flower has no password", "SCAFFOLDRY_FLOWER_LOGIN", "--no-login")
    refused(invoke("flower", *url, SCAFFOLDRY_FLOWER_LOGIN=""), "Flower has no password")
    refused(invoke("flower", *url, "--port", "65536", "--no-login"), "--port")


def test_flower_says_that_the_broker_does_not_answer(invoke, home: Path) -> None:
    broker = {"SCAFFOLDRY_BROKER_URL": "redis://flower:hunter2@127.0.0.1:1/0", "SCAFFOLDRY_CACHE_DIR": str(home)}
    for found in (invoke("flower", "--no-login", **broker), invoke("flower", SCAFFOLDRY_FLOWER_LOGIN="x", **broker)):
        assert (found.exit_code, found.stdout) == (3, "")
        assert "The broker at redis://127.0.0.1:1/0 does not answer" in found.stderr and "hunter2" not in found.stderr


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_an_address_of_flower_that_is_none(
    invoke, experiment: ExperimentFileManager, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("SCAFFOLDRY_FLOWER_URL", "lab1:5555")
    refused(invoke("show", experiment, "1", "valid_0", *arguments), "SCAFFOLDRY_FLOWER_URL", "http://HOST:5555")


def test_a_corrupt_file_is_named(invoke, experiment: ExperimentFileManager) -> None:
    path = Path(str(experiment)) / "results/0/1/valid_1.json"
    path.write_text(path.read_text().replace("ValueError", "TypeError"))
    refused(invoke("show", experiment, "1", "valid_1"), str(path), "digest")
    refused(invoke("ls", experiment), str(path), "digest")
    path.write_bytes(b"\xff")
    refused(invoke("ls", experiment), str(path), "not valid JSON")


def test_one_corrupt_experiment_does_not_hide_the_others(invoke, experiment: ExperimentFileManager) -> None:
    other = ExperimentFileManager.create(Path("experiments"), "broken")
    (Path(str(other)) / "metadata.json").write_text("{")
    found = invoke("ls")
    assert found.exit_code == 2
    assert str(experiment) in found.stdout
    assert f"{other}/metadata.json is not valid JSON" in found.stderr
