"""The files that lie beside every scaffold."""

from importlib.resources import files

RUNTIME_FILES = ("llm_executor.py", "llm_interfaces.py")


def read_runtime_files() -> dict[str, str]:
    """File name -> text of the modules a scaffold may import."""
    folder = files(__name__)
    return {name: (folder / name).read_text(encoding="utf-8") for name in RUNTIME_FILES}
