"""What a run may use."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from shared.models.base import Frozen

_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def parse_size(value: object) -> object:
    """Turn ``512m``, ``1g``, ``64k`` or a number into bytes; leave anything else for pydantic to refuse."""
    if not isinstance(value, str):
        return value
    text = value.strip().lower().removesuffix("ib").removesuffix("b")
    number, unit = (text[:-1], text[-1:]) if text[-1:] in ("k", "m", "g") else (text, "")
    try:
        return int(float(number) * _UNITS[unit])
    except (ValueError, OverflowError):
        raise ValueError(f"{value!r} is not a size; write it as 512m, 1g or a number of bytes") from None


Size = Annotated[int, BeforeValidator(parse_size)]


class Limits(Frozen):
    """The bounds of one run: seconds, bytes, processors and processes."""

    timeout: float = Field(default=120.0, gt=0, le=86_400)
    memory: Size = Field(default=512 * 1024**2, ge=16 * 1024**2)
    cpus: float = Field(default=1.0, gt=0, le=1024)
    output_limit: Size = Field(default=1024**2, ge=1024, le=64 * 1024**2)
    """Bytes of answer, and separately bytes of printed text, that a run may produce."""
    pids: int = Field(default=128, ge=8, le=32_768)
    tmp_size: Size = Field(default=64 * 1024**2, ge=1024**2)
