"""The rules of the house, read off the source: who imports whom, and which one module touches each dangerous thing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for name in ("coordinator", "shared", "worker")
    for path in ROOT.glob(f"{name}/**/*.py")
)
STRANGERS = {"coordinator": {"worker"}, "worker": {"coordinator"}, "shared": {"coordinator", "worker"}}
SDKS = {"openai", "anthropic"}
CONTAINER = ("shared/runtime/llm_", "shared/runtime/runner.py")
"""What runs in the sandbox, beside the scaffold: its environment is the sandbox's."""


def imported(node: ast.AST) -> list[str]:
    """The modules that a statement imports, as they are written."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []


def reads_environment(node: ast.AST) -> bool:
    """Whether ``os.environ`` or ``os.getenv`` is used, or taken out of ``os``."""
    names = {"environ", "environb", "getenv", "getenvb"}
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and any(alias.name in names for alias in node.names)
    return (
        isinstance(node, ast.Attribute)
        and node.attr in names
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    )


def makes_celery(node: ast.AST) -> bool:
    """Whether a Celery app is constructed."""
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name == "Celery"


def makes_path_of_text(node: ast.AST) -> bool:
    """Whether a path is made of what something calls itself: ``Path(str(files))`` takes it out of the file manager."""
    return (
        isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "Path"
        and any(isinstance(given, ast.Call) and getattr(given.func, "id", "") == "str" for given in node.args)
    )


def violations(path: str, source: str) -> Iterator[str]:
    """A line for each rule that the module at ``path`` (counted from the checkout) breaks."""
    package = path.partition("/")[0]
    for node in ast.walk(ast.parse(source)):
        where = f"{path}:{getattr(node, 'lineno', 0)}"
        tops = {name.partition(".")[0] for name in imported(node)}
        for stranger in sorted(tops & STRANGERS[package]):
            yield f"{where}: {package} imports {stranger}"
        if "docker" in tops and path not in ("worker/sandbox/docker.py", "worker/sandbox/docker_client.py"):
            yield f"{where}: docker is imported"
        if tops & SDKS and not path.startswith("worker/gateway/"):
            yield f"{where}: a model's SDK is imported"
        if reads_environment(node) and path != "shared/settings.py" and not path.startswith(CONTAINER):
            yield f"{where}: the environment is read"
        if makes_celery(node) and path != "shared/queue.py":
            yield f"{where}: a Celery app is made"
        if makes_path_of_text(node):
            yield f"{where}: a path is made of a text"


@pytest.mark.parametrize("path", FILES)
def test_the_rules_are_kept(path: str) -> None:
    assert list(violations(path, (ROOT / path).read_text())) == []


def test_the_whole_house_is_read() -> None:
    assert len(FILES) > 80
    assert {"shared/settings.py", "shared/queue.py", "worker/sandbox/docker.py", "coordinator/cli/app.py"} <= set(FILES)


@pytest.mark.parametrize(
    ("path", "source", "broken"),
    [
        ("coordinator/x.py", "import worker.tasks", "coordinator imports worker"),
        ("coordinator/x.py", "def f():\n    from worker.execution import run_job", "coordinator imports worker"),
        ("worker/x.py", "from coordinator import loop", "worker imports coordinator"),
        ("shared/x.py", "from worker import tasks", "shared imports worker"),
        ("shared/x.py", "import os, coordinator as c", "shared imports coordinator"),
        ("shared/queue.py", "import os\nurl = os.environ['URL']", "the environment is read"),
        ("worker/x.py", "import os\nurl = os.getenv('URL')", "the environment is read"),
        ("worker/x.py", "from os import environ as e", "the environment is read"),
        ("worker/sandbox/fake.py", "import docker", "docker is imported"),
        ("coordinator/x.py", "from docker.errors import NotFound", "docker is imported"),
        ("worker/execution.py", "import openai", "a model's SDK is imported"),
        ("shared/x.py", "from anthropic import Anthropic", "a model's SDK is imported"),
        ("worker/tasks.py", "from celery import Celery\napp = Celery('x')", "a Celery app is made"),
        ("coordinator/x.py", "import celery\napp = celery.Celery()", "a Celery app is made"),
        ("coordinator/x.py", "def f(files):\n    return Path(str(files)).parent", "a path is made of a text"),
    ],
)
def test_a_breach_is_found(path: str, source: str, broken: str) -> None:
    (found,) = violations(path, source)
    assert found == f"{path}:{len(source.splitlines())}: {broken}"


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("worker/gateway/x.py", "from worker.gateway.openai import OpenAIProvider\nimport openai"),
        ("worker/sandbox/docker.py", "import docker\nfrom docker.errors import NotFound"),
        ("worker/x.py", "from worker.sandbox.docker import Engine"),
        ("shared/settings.py", "import os\nos.environ.get('A')"),
        ("shared/queue.py", "from celery import Celery\nCelery('x')"),
        ("coordinator/x.py", "def f(directory):\n    return Path(directory)"),
        ("coordinator/x.py", "from celery import Celery\ndef f(app: Celery) -> None: ..."),
    ],
)
def test_what_is_allowed_is_no_breach(path: str, source: str) -> None:
    assert list(violations(path, source)) == []
