"""What the compose files say, and that `.env.example` has every variable of theirs."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from shared.models.limits import Limits

ROOT = Path(__file__).parents[2]
HEAD, OTHER = ROOT / "docker-compose.yml", ROOT / "docker-compose.worker.yml"
EXAMPLE = ROOT / ".env.example"
PASSED_ON = re.compile(r"^ +([A-Z_]+):$", re.M)


def services(file: Path) -> Any:
    return YAML(typ="safe").load(file)["services"]


def variables(file: Path) -> set[str]:
    text = re.sub(r"\$\$\S*", "", file.read_text())  # those of a shell in the container
    return set(re.findall(r"\$\{([A-Z_]+)", text)) | set(PASSED_ON.findall(text))


def required(file: Path) -> set[str]:
    return set(re.findall(r"\$\{([A-Z_]+):\?", file.read_text()))


def test_the_example_has_every_variable_and_no_other() -> None:
    known = re.findall(r"^#?([A-Z_]+)=", EXAMPLE.read_text(), re.M)
    assert sorted(known) == sorted(variables(HEAD) | variables(OTHER))


def test_what_init_fills_in_is_what_the_head_requires() -> None:
    assert set(re.findall(r"^([A-Z_]+)=$", EXAMPLE.read_text(), re.M)) == required(HEAD)


def test_whoever_has_no_env_file_is_told_to_make_it() -> None:
    sentences = re.findall(r"\$\{[A-Z_]+:\?([^}]*)", HEAD.read_text())
    assert set(sentences) == {"Run make init first"}


def test_a_worker_is_the_same_on_the_head_and_elsewhere() -> None:
    head, other = services(HEAD)["worker"], services(OTHER)["worker"]
    alike = ("image", "init", "restart", "group_add", "command", "stop_signal", "stop_grace_period")
    for key in alike[:3] + alike[4:]:
        assert head[key] == other[key], key
    assert [bind["target"].split(":")[0] for bind in head["volumes"]] == [
        bind["target"].split(":")[0] for bind in other["volumes"]
    ]
    assert set(other["environment"]) - set(head["environment"]) == {"SCAFFOLDRY_BROKER_CA"}
    assert not set(head["environment"]) - set(other["environment"])


@pytest.mark.parametrize(("variables", "name"), [({}, "lab9"), ({"SCAFFOLDRY_WORKER_NAME": "gpu-1"}, "gpu-1")])
def test_a_workers_health_is_asked_of_it_by_the_name_it_has(
    tmp_path: Path, variables: dict[str, str], name: str
) -> None:
    for program, body in (("celery", 'echo "$@"'), ("hostname", "echo lab9")):
        (tmp_path / program).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / program).chmod(0o755)
    kind, command = services(OTHER)["worker"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    asked = subprocess.run(
        ["/bin/sh", "-c", command.replace("$$", "$")],
        env={"PATH": str(tmp_path), **variables},
        capture_output=True,
        text=True,
    )
    assert asked.stdout.split()[-1] == f"worker@{name}", asked


@pytest.mark.parametrize("file", [HEAD, OTHER])
def test_a_worker_that_is_stopped_has_the_time_that_a_run_may_take(file: Path) -> None:
    """That is the timeout of a spec that names none, and the 20 s in which what is past its deadline is killed."""
    worker = services(file)["worker"]
    assert worker["stop_signal"] == "SIGTERM"
    (given,) = re.findall(r"\$\{SCAFFOLDRY_STOP_GRACE:-(\d+)s\}", worker["stop_grace_period"])
    docs = (ROOT / "docs/multi-host.md").read_text()
    (documented,) = re.findall(r"`SCAFFOLDRY_STOP_GRACE`, (\d+) s unless set", docs)
    (example,) = re.findall(r"^#SCAFFOLDRY_STOP_GRACE=(\d+)s$", EXAMPLE.read_text(), re.M)
    assert given == documented == example
    assert int(given) >= Limits().timeout + 20


def test_the_broker_keeps_what_it_was_given() -> None:
    command = services(HEAD)["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert command[0] == "redis-server"
    assert (options["--appendonly"], options["--maxmemory-policy"]) == ("yes", "noeviction")
    assert options["--dir"] == "/data" and "redis-data:/data" in services(HEAD)["redis"]["volumes"]
    assert options["--aclfile"] in [bind["target"] for bind in services(HEAD)["redis"]["volumes"][1:]]


@pytest.mark.parametrize(("file", "names"), [(HEAD, {"redis", "worker", "flower"}), (OTHER, {"worker"})])
def test_services_come_back_and_say_how_they_are(file: Path, names: set[str]) -> None:
    asks = {"redis": "redis-cli ping", "worker": "inspect ping", "flower": "/healthcheck"}
    found = services(file)
    assert {name for name, service in found.items() if service["restart"] == "unless-stopped"} == names
    for name in names:
        assert asks[name] in found[name]["healthcheck"]["test"][-1]
        assert found[name]["healthcheck"].keys() >= {"interval", "timeout", "retries"}


def test_nothing_starts_before_the_broker_is_up() -> None:
    for name, service in services(HEAD).items():
        assert name == "redis" or service["depends_on"] == {"redis": {"condition": "service_healthy"}}, name


@pytest.mark.parametrize("file", [HEAD, OTHER])
def test_no_service_gets_a_password_but_its_own(file: Path) -> None:
    for name, service in services(file).items():
        found = set(re.findall(r"SCAFFOLDRY_([A-Z]+)_PASSWORD", repr(service)))
        assert found <= {name.upper()}, name


@pytest.mark.parametrize("secrets", [{"type": "bind", "source": "/dev/null", "read_only": True}, {"type": "tmpfs"}])
def test_whoever_sees_the_specs_sees_no_file_of_passwords(secrets: dict[str, Any]) -> None:
    """The specs may lie in the folder of `.env`, and of `.deploy` with the other hosts' one."""
    hidden = {"bind": ".env", "tmpfs": ".deploy"}[secrets["type"]]
    place = f"${{SCAFFOLDRY_COMPOSE_DIR:?Run make init first}}/{hidden}"
    specs = [service for service in services(HEAD).values() if "SCAFFOLDRY_SPEC_DIR" in repr(service)]
    assert specs and all({**secrets, "target": place} in service["volumes"] for service in specs)


def test_no_service_runs_as_root() -> None:
    for name, service in (services(HEAD) | services(OTHER)).items():
        assert service["user"] and not re.match(r"(0|root)\b", service["user"]), name
