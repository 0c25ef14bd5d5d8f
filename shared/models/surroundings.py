"""What lies in a sandbox."""

from pydantic import Field

from shared.models.base import Frozen


class Interior(Frozen):
    """A sandbox's Python (``3.11.2``) and what is installed beside the standard library (``numpy 2.1.0``)."""

    python: str = Field(pattern=r"^\d+\.\d+")
    packages: tuple[str, ...] = ()
