"""Loading a spec, checking that what it names exists, showing it, and comparing two."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from coordinator.spec_problems import validate
from coordinator.spec_yaml import apply_overrides, read_document
from shared.errors import SpecError, UnknownName
from shared.models.example import Example
from shared.models.spec import SANDBOXES, DataSpec, ExperimentSpec
from shared.registry import Registry, nearest

_ABSENT = object()


@dataclass(frozen=True)
class LoadedSpec:
    """A spec, the folder that its paths count from, and the name of the file it stood in."""

    spec: ExperimentSpec
    folder: Path
    file_name: str


def load_spec(path: Path, overrides: Sequence[str] = ()) -> LoadedSpec:
    """The spec in the YAML file ``path`` with ``overrides`` (``a.b=value``) applied, every default filled in.

    Raises SpecError whose sentences name the file or the override, the line and the field.
    """
    document = apply_overrides(read_document(path), overrides)
    return LoadedSpec(validate(document), path.parent, path.name)


def check_spec(loaded: LoadedSpec, examples: Mapping[str, Sequence[Example]]) -> None:
    """Raise a UsageError where the spec names a sandbox, model or scorer that cannot be used with ``examples``."""
    from shared.model_names import parse_model
    from shared.scorers import check_scorer

    spec = loaded.spec
    known = Registry("sandbox", dict.fromkeys(SANDBOXES, "")).names()
    if spec.sandbox not in known:
        raise UnknownName(f"There is no sandbox named {spec.sandbox!r}{nearest(spec.sandbox, known)}")
    for name in model_names(spec):
        parse_model(name, spec.models)
    _, source = scorer_source(loaded) or ("", None)
    check_scorer(spec.scorer, scored_fields(spec, examples), module_source=source)


def scored_fields(spec: ExperimentSpec, examples: Mapping[str, Sequence[Example]]) -> set[str]:
    """The names of the fields that every example has, the input's included."""
    parts = [spec.data.train, spec.data.valid, spec.data.test] if isinstance(spec.data, DataSpec) else [spec.data]
    each = [example.fields.keys() for part in examples.values() for example in part]
    return set.intersection(*map(set, each[:1]), *each[1:]) | {part.input for part in parts if part} if each else set()


def scorer_source(loaded: LoadedSpec) -> tuple[str, str] | None:
    """Module name and source of the scorer ``module:function`` where ``module.py`` lies beside the spec, else None."""
    module, colon, _ = loaded.spec.scorer.name.partition(":")
    if not colon or not all(part.isidentifier() for part in module.split(".")):
        return None
    path = loaded.folder.joinpath(*module.split(".")).with_suffix(".py")
    try:
        return module, path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"The scorer's file {path} cannot be read: {error}.") from None


def model_names(spec: ExperimentSpec) -> tuple[str, ...]:
    """The names of all models that an experiment may ask, its proposer's among them."""
    from coordinator.proposers import proposer_models

    proposing = proposer_models(spec.proposer) if spec.proposer is not None else ()
    return (spec.executor.model, *spec.models, *proposing)


def model_scripts(loaded: LoadedSpec) -> dict[str, str]:
    """The text of each FILE that a model ``sim/script:FILE`` of the spec answers from; raises ModelConfigError."""
    from shared.model_names import parse_model
    from shared.model_script import parse_script, read_script

    spec = loaded.spec
    scripts: dict[str, str] = {}
    for name in model_names(spec):
        script = parse_model(name, spec.models).script
        if script is not None and script not in scripts:
            path = loaded.folder / Path(script).expanduser()
            scripts[script] = read_script(path)
            parse_script(scripts[script], str(path))
    return scripts


def dump_spec(spec: ExperimentSpec) -> str:
    """The spec as YAML, every field written out; ``load_spec`` reads it back as the same spec."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # its type is given as None
    yaml.allow_unicode = True
    yaml.width = 120
    stream = io.StringIO()
    yaml.dump(spec.model_dump(mode="json"), stream)
    return stream.getvalue()


def spec_difference(old: ExperimentSpec, new: ExperimentSpec) -> list[str]:
    """One line for each field that differs, ``executor.timeout: 120 -> 60``; none where the two mean the same."""
    before, after = (dict(_leaves(spec.model_dump(mode="json"), "")) for spec in (old, new))
    return [
        f"{field}: {_show(before.get(field, _ABSENT))} -> {_show(after.get(field, _ABSENT))}"
        for field in dict.fromkeys([*before, *after])
        if _show(before.get(field, _ABSENT)) != _show(after.get(field, _ABSENT))
    ]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, inner in items:
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, value


def _show(value: Any) -> str:
    if value is _ABSENT:
        return "(not there)"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False)
