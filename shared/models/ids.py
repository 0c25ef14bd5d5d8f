"""Identifiers. Every name that becomes part of a path or a message passes through one of these types."""

import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from shared.errors import InvalidId

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

_SHORT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_EXPERIMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
PREFLIGHT = "preflight"
"""A proposed scaffold's trial with a mock model: a run like the others, that is never scored."""

_RUN_TYPE = re.compile(r"(train|valid|test|preflight)_(0|[1-9][0-9]{0,8})")


def check_scaffold_id(value: object) -> str:
    """Return ``value`` if it is a scaffold id (``0``, ``2-0-1``, ``vote.v2``), else raise InvalidId."""
    if not isinstance(value, str) or not _SHORT_NAME.fullmatch(value):
        raise InvalidId(
            f"{value!r} is not a scaffold id: use 1 to 64 letters, digits, '.', '_' or '-', "
            "starting with a letter or digit."
        )
    return value


def check_experiment_name(value: object) -> str:
    """Return ``value`` if it can name an experiment's directory, else raise InvalidId."""
    if not isinstance(value, str) or not _EXPERIMENT.fullmatch(value):
        raise InvalidId(
            f"{value!r} cannot name an experiment: use 1 to 128 letters, digits, '.', '_' or '-', "
            "starting with a letter or digit."
        )
    return value


def check_worker_name(value: object) -> str:
    """Return ``value`` if it can name a worker, its lock file and its containers' label, else raise InvalidId."""
    if not isinstance(value, str) or not _SHORT_NAME.fullmatch(value):
        raise InvalidId(
            f"{value!r} cannot name a worker: use 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or "
            "digit. Give another with --name or SCAFFOLDRY_WORKER_NAME."
        )
    return value


def check_run_type(value: object) -> str:
    """Return ``value`` if it reads ``<split>_<index>`` (``valid_12``), else raise InvalidId."""
    if not isinstance(value, str) or not _RUN_TYPE.fullmatch(value):
        raise InvalidId(f"{value!r} is not a run type: use train_N, valid_N or test_N, where N counts from 0.")
    return value


def check_iteration(value: object) -> int:
    """Return ``value`` if it is a whole number of 0 or more, else raise InvalidId."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidId(f"{value!r} is not an iteration: iterations are whole numbers that count from 0.")
    return value


ScaffoldId = Annotated[str, AfterValidator(check_scaffold_id)]
ExperimentName = Annotated[str, AfterValidator(check_experiment_name)]
RunType = Annotated[str, AfterValidator(check_run_type)]
Iteration = Annotated[int, Field(ge=0)]


def run_type_key(run_type: str) -> tuple[str, int]:
    """Sort key that orders ``valid_2`` before ``valid_10``."""
    split, _, index = check_run_type(run_type).partition("_")
    return split, int(index)


def split_of(run_type: str) -> str:
    """The split a run type belongs to: ``valid`` for ``valid_12``."""
    return run_type_key(run_type)[0]


def scaffold_id_key(scaffold_id: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that orders ``2`` before ``10`` and a parent before its children."""
    parts = scaffold_id.split("-")
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)
