"""The Jinja templates that prompts are made of: the built-in ones, and a user's own in their place."""

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import FunctionLoader, StrictUndefined, TemplateError, TemplateNotFound, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import SandboxedEnvironment

from coordinator.proposers.options import entries_of, read_text
from shared.errors import SpecError
from shared.registry import nearest

NAMES = ("system.j2", "ideas.j2", "first.j2", "evolve.j2", "repair.j2")
"""Those that are rendered; ``answer.j2`` is included by some of them."""
_BUILTIN = (*NAMES, "answer.j2")
_WHERE = "proposer.templates of 'llm'"
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\.j2")


def builtin_templates() -> dict[str, str]:
    """The texts of the built-in templates by name."""
    folder = files("coordinator.proposers") / "templates"
    return {name: (folder / name).read_text(encoding="utf-8") for name in _BUILTIN}


def own_templates(folder: Path) -> dict[str, str]:
    """The ``*.j2`` files in a user's folder by name. Raises SpecError where there are none, or one cannot be read."""
    paths = sorted(path for path in entries_of(folder, _WHERE) if path.suffix == ".j2")
    if not paths:
        raise SpecError(f"{_WHERE}: there is no template in {folder}; those one can replace: {', '.join(_BUILTIN)}.")
    for path in paths:
        if not _FILE_NAME.fullmatch(path.name):
            raise SpecError(f"{_WHERE}: {path.name!r} must be named with letters, digits, '.', '_' and '-' alone.")
    return {path.name: read_text(path, _WHERE) for path in paths}


class Templates:
    """Renders templates, in a sandbox: what they are given is inserted as text and never run."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = {name: text for name, text in texts.items() if name.endswith(".j2")}
        self._environment = SandboxedEnvironment(
            loader=FunctionLoader(self._load),
            undefined=StrictUndefined,
            autoescape=False,  # prompts are no HTML
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def render(self, name: str, context: Mapping[str, Any]) -> str:
        """The prompt. Raises SpecError naming the template, the line and the variables there are."""
        try:
            return self._environment.get_template(name).render(context).strip()
        except Exception as error:  # whatever an expression of a template can raise
            raise self._problem(error, name, context) from None

    def check(self, contexts: Mapping[str, Mapping[str, Any]]) -> None:
        """Render each template of ``contexts`` once, and look for unknown variables in what is not reached so."""
        for name, context in contexts.items():
            self._check_names(name, context)
            self.render(name, context)
        self._check_all_used()

    def _load(self, name: str) -> tuple[str, str, Any] | None:
        text = self._texts.get(name)
        # The name as a file name: so it stands in tracebacks, from which the line is read.
        return None if text is None else (text, name, lambda: True)

    def _check_names(self, name: str, context: Mapping[str, Any]) -> None:
        try:
            tree = self._environment.parse(self._texts[name], name, name)
            unknown = meta.find_undeclared_variables(tree) - set(context)
        except TemplateSyntaxError as error:
            raise self._problem(error, name, context) from None
        for node in tree.find_all(nodes.Name):
            if node.name in unknown:
                raise SpecError(
                    f"The template {name}, line {node.lineno}: there is no variable {node.name!r}"
                    f"{nearest(node.name, sorted(context))}"
                )

    def _check_all_used(self) -> None:
        used: set[str | None] = set()
        for name, text in self._texts.items():
            try:
                used |= set(meta.find_referenced_templates(self._environment.parse(text)))
            except TemplateSyntaxError as error:
                raise self._problem(error, name, {}) from None
        for name in self._texts:
            # None: a name that is made up while a template is rendered.
            if name not in used and name not in _BUILTIN and None not in used:
                raise SpecError(f"{_WHERE}: no template includes {name!r}{nearest(name, sorted(_BUILTIN))}")

    def _problem(self, error: Exception, name: str, context: Mapping[str, Any]) -> SpecError:
        if isinstance(error, TemplateSyntaxError):
            where = error.name if error.name in self._texts else name
            return SpecError(f"The template {where}, line {error.lineno}: {error.message}")
        if isinstance(error, TemplateNotFound):
            return SpecError(f"The template {name} includes {error.name!r}, which is not there.")
        where, trace = f"The template {name}", error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename in self._texts:
                where = f"The template {trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno}"
            trace = trace.tb_next
        kind = "" if isinstance(error, TemplateError) else f"{type(error).__name__}: "
        return SpecError(f"{where}: {kind}{error}. The variables there are: {', '.join(sorted(context))}.")
