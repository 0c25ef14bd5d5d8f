"""The files that lie beside every scaffold in its container. They use the standard library alone, and run on 3.8."""

from importlib.resources import files

NAMES = ("llm_executor.py", "llm_interfaces.py")


def read_runtime_files() -> dict[str, str]:
    """The files' texts by name."""
    folder = files(__name__)
    return {name: (folder / name).read_text(encoding="utf-8") for name in NAMES}
