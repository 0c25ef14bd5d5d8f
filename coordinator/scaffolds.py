"""Reading the scaffolds that a spec gives. Their code is never run here, only parsed for warnings."""

import ast
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from shared.errors import SpecError
from shared.models.scaffold import ScaffoldMetadata, ScaffoldResult
from shared.models.spec import ExperimentSpec

CODE = "scaffold.py"
MAX_BYTES = 1024**2
_COMPANIONS = {CODE, "__pycache__", "README.md", "llm_executor.py", "llm_interfaces.py"}
"""What may lie beside a scaffold without being missed: its own notes, and files that every scaffold is given anyway."""


def load_scaffolds(spec: ExperimentSpec, folder: Path, now: datetime) -> list[ScaffoldResult]:
    """The scaffolds of ``spec.scaffolds`` in order; ``folder`` is the spec's, ``now`` the time noted in them.

    Raises SpecError where a scaffold is not there, or is no text of at most 1 MB. Code with mistakes is not refused: it
    runs, and fails as what it is.
    """
    return [
        ScaffoldResult(
            code=_read(_code_path(folder, source), index), metadata=ScaffoldMetadata(created_at=now, source=source)
        )
        for index, source in enumerate(spec.scaffolds)
    ]


def scaffold_warnings(scaffolds: Sequence[ScaffoldResult], folder: Path) -> list[str]:
    """What can be foreseen of scaffolds that ``load_scaffolds`` gave: sentences, each naming its scaffold."""
    return [warning for scaffold in scaffolds for warning in _warnings(scaffold, folder)]


def code_problem(code: str) -> str | None:
    """A sentence about code that cannot become a scaffold, as far as that can be told without running it."""
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        return f"Line {error.lineno} of its code is not valid Python ({error.msg})."
    except (ValueError, RecursionError, MemoryError) as error:
        return f"Its code cannot be parsed ({error})."
    if "process_input" not in _top_level_names(tree):
        return "Its code defines no process_input(input_string)."
    return None


def _warnings(scaffold: ScaffoldResult, folder: Path) -> Iterator[str]:
    source = scaffold.metadata.source or ""
    problem = code_problem(scaffold.code)
    if problem is not None:
        yield f"{source}: {problem[0].lower()}{problem[1:-1]}; its runs will fail."
    path = _code_path(folder, source)
    if path.parent != folder and path.name == CODE:
        names = sorted(entry.name for entry in path.parent.iterdir() if not entry.name.startswith("."))
        extra = [name for name in names if name not in _COMPANIONS]
        if extra:
            yield f"{source}: only {CODE} is used; {', '.join(extra[:5])} will not be there when it runs."


def _top_level_names(tree: ast.Module) -> set[str]:
    """The names a module may define: those bound outside its functions and classes; ``import *`` may bring any."""
    names: set[str] = set()
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound = {alias.asname or alias.name for alias in node.names}
            names |= {"process_input"} if "*" in bound else bound
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        else:
            todo.extend(ast.iter_child_nodes(node))
    return names


def _code_path(folder: Path, source: str) -> Path:
    path = folder / Path(source).expanduser()
    return path if path.suffix == ".py" and not path.is_dir() else path / CODE


def _read(path: Path, index: int) -> str:
    field = f"scaffolds.{index}"
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise SpecError(
            f"{field}: there is no {path}; give a folder with a {CODE}, counted from the spec's folder."
        ) from None
    except (OSError, ValueError) as error:
        raise SpecError(f"{field}: {str(path)!r} cannot be read: {error}.") from None
    if len(data) > MAX_BYTES:
        raise SpecError(f"{field}: {path} is larger than {MAX_BYTES // 1024**2} MB; that is no scaffold.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise SpecError(f"{field}: {path} is not text in UTF-8; a scaffold is a Python file.")
    return text
